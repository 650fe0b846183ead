"""A network like QuickNet: a thin stem, blurred pooling between sections (Bannink et al., MLSys 2021).

It differs in its padding, which is zero here and one there.
"""

from __future__ import annotations

from torch import nn

from experiments.architectures.architecture import Architecture
from experiments.architectures.pictures.stems import IMAGENET_IMAGE, SMALL_IMAGE, plain_stem
from experiments.binarizers.parts.binarizer import Binarizer
from tvm_bnn.bench.networks.parts import Residual, head
from tvm_bnn.bench.networks.quick_net import stem, transition

PAPER = "Bannink et al., Larq Compute Engine, MLSys 2021"


def section(binarizer: Binarizer, channels: int, count: int) -> list[nn.Module]:
    """Return 3x3 layers, a shortcut around each."""
    return [
        Residual(
            nn.Sequential(
                binarizer.conv2d(channels, channels, 3, padding=1),
                binarizer.nonlinearity(channels),
                nn.BatchNorm2d(channels),
            )
        )
        for _ in range(count)
    ]


def quick_net(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return four sections of four layers; small, two of two."""
    inputs = width = 16 if small else 64
    layers: list[nn.Module] = [plain_stem(1, width)] if small else stem(width)
    for factor in (1, 2) if small else (1, 2, 4, 8):
        outputs = width * factor
        if outputs != inputs:
            layers += transition(inputs, outputs)
        layers += section(binarizer, outputs, 2 if small else 4)
        inputs = outputs
    return nn.Sequential(*layers, nn.ReLU(), head(inputs, classes))


ARCHITECTURES = (Architecture("quicknet", "cnn", "image", PAPER, quick_net, IMAGENET_IMAGE, SMALL_IMAGE),)
