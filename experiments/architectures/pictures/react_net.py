"""ReActNet-A: MobileNetV1 with a 3x3 layer for each depth-wise one, and shortcuts (Liu et al., ECCV 2020)."""

from __future__ import annotations

import torch
from torch import nn

from experiments.architectures.architecture import Architecture
from experiments.architectures.pictures.stems import IMAGENET_IMAGE, SMALL_IMAGE
from experiments.binarizers.parts.binarizer import Binarizer
from tvm_bnn.bench.networks.parts import Residual, head
from tvm_bnn.bench.networks.react_net import BLOCKS

PAPER = "Liu et al., ReActNet, ECCV 2020"
_SMALL_BLOCKS = ((2, 1), (4, 2), (4, 1))


class Widening(nn.Module):
    """Doubles the channels: the paper's two 1x1 layers of the same signs as one, a shortcut around each half."""

    def __init__(self, binarizer: Binarizer, channels: int) -> None:
        super().__init__()
        self.body = normed(binarizer, channels, 2 * channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, C, H, W)`` to ``(N, 2C, H, W)``."""
        total: torch.Tensor = self.body(x) + torch.cat([x, x], dim=1)
        return total


def normed(binarizer: Binarizer, inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Return a layer with its batch norm."""
    conv = binarizer.conv2d(inputs, outputs, size, stride=stride, padding=size // 2)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def block(binarizer: Binarizer, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Return a 3x3 and a 1x1 layer; ``outputs`` is ``inputs`` or twice that."""
    shortcut = nn.AvgPool2d(2) if stride != 1 else None
    spatial = Residual(normed(binarizer, inputs, inputs, 3, stride), shortcut)
    pointwise = Residual(normed(binarizer, inputs, outputs, 1)) if inputs == outputs else Widening(binarizer, inputs)
    return nn.Sequential(spatial, binarizer.nonlinearity(inputs), pointwise, binarizer.nonlinearity(outputs))


def react_net_a(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return 13 blocks behind a real 3x3 stem; small, three."""
    inputs = width = 8 if small else 32
    stride = 1 if small else 2
    layers: list[nn.Module] = [
        nn.Conv2d(1 if small else 3, width, 3, stride, 1, bias=False),
        nn.BatchNorm2d(width),
    ]
    for factor, halving in _SMALL_BLOCKS if small else BLOCKS:
        layers.append(block(binarizer, inputs, width * factor, halving))
        inputs = width * factor
    return nn.Sequential(*layers, head(inputs, classes))


ARCHITECTURES = (Architecture("reactnet-a", "cnn", "image", PAPER, react_net_a, IMAGENET_IMAGE, SMALL_IMAGE),)
