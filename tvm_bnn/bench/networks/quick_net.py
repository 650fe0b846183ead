"""A network like QuickNet: a small stem, blurred pooling between sections (Bannink et al., MLSys 2021).

It differs in its padding, which is zero here and one there.
"""

from __future__ import annotations

import torch
from torch import nn

from tvm_bnn.bench.networks.parts import Residual, activation, conv, head


def blur(channels: int) -> nn.Conv2d:
    """Return the fixed 3x3 binomial filter of each channel that halves the image (Zhang, ICML 2019)."""
    made = nn.Conv2d(channels, channels, 3, 2, 1, groups=channels, bias=False)
    row = torch.tensor([1.0, 2.0, 1.0]) / 4
    made.weight.data = (row[:, None] * row[None]).expand(channels, 1, 3, 3).clone()
    made.weight.requires_grad_(False)
    return made


def transition(inputs: int, outputs: int) -> list[nn.Module]:
    """Return what halves the image and widens it between two sections, all real."""
    pool = nn.Sequential(nn.ReLU(), nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, 1), blur(inputs))
    return [pool, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]


def stem(width: int) -> list[nn.Module]:
    """Return a thin convolution, one for each channel, and a 1x1 convolution: a quarter of the image's side is left."""
    thin = max(width // 4, 4)
    return [
        *(nn.Conv2d(3, thin, 3, 2, 1, bias=False), nn.BatchNorm2d(thin), nn.ReLU()),
        *(nn.Conv2d(thin, thin, 3, 2, 1, groups=thin, bias=False), nn.BatchNorm2d(thin)),
        *(nn.Conv2d(thin, width, 1, bias=False), nn.BatchNorm2d(width)),
    ]


def quick_net(binary: bool, width: int = 64, classes: int = 1000) -> nn.Module:
    """Return four sections of four 3x3 layers, a shortcut around each."""
    layers = stem(width)
    inputs = width
    for factor in (1, 2, 4, 8):
        outputs = width * factor
        if outputs != inputs:
            layers += transition(inputs, outputs)
        for _ in range(4):
            made = conv(outputs, outputs, 3, binary=binary, scaled=False)
            layers.append(Residual(nn.Sequential(activation(binary), made, nn.ReLU(), nn.BatchNorm2d(outputs))))
        inputs = outputs
    return nn.Sequential(*layers, nn.ReLU(), head(inputs, classes))
