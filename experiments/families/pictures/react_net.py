"""ReActNet: learned shifts around sign and PReLU, on MobileNet or ResNet (Liu et al., ECCV 2020)."""

from __future__ import annotations

import torch
from torch import nn

from experiments.families.building_blocks import Residual, RPReLU, RSign, ScaledSignConv2d, pooled_head, real_stem
from experiments.families.family import Family, normal


def binary(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Return a binary convolution with its batch norm."""
    conv = ScaledSignConv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class SplitPointwise(nn.Module):
    """Doubles the channels: two binary 1×1 convolutions of the same signs, a shortcut on each, concatenated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sign = RSign(channels)
        self.left, self.right = binary(channels, channels, 1), binary(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, C, H, W)`` to ``(N, 2C, H, W)``."""
        signs = self.sign(x)
        left, right = self.left(signs), self.right(signs)
        left += x
        right += x
        return torch.cat([left, right], dim=1)


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return a binary 3×3 and a binary 1×1 layer; ``outputs`` is ``inputs`` or twice that."""
    shortcut = nn.AvgPool2d(2, 2) if stride != 1 else None
    spatial = Residual(nn.Sequential(RSign(inputs), binary(inputs, inputs, 3, stride)), shortcut)
    pointwise: nn.Module = SplitPointwise(inputs)
    if inputs == outputs:
        pointwise = Residual(nn.Sequential(RSign(inputs), binary(inputs, inputs, 1)))
    return nn.Sequential(spatial, RPReLU(inputs), pointwise, RPReLU(outputs))


def reactnet_a() -> nn.Module:
    """Return the MobileNet form with five blocks."""
    blocks = (block(16, 32), block(32, 32, 2), block(32, 64), block(64, 64, 2), block(64, 64))
    return nn.Sequential(real_stem(3, 16, 2), *blocks, pooled_head(64))


def reactnet_resnet() -> nn.Module:
    """Return the ResNet form: one shortcut per 3×3 layer, pooled and widened by a real 1×1 layer where it must."""

    def layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
        shortcut = None
        if stride != 1:
            conv = nn.Conv2d(inputs, outputs, 1, bias=False)
            shortcut = nn.Sequential(nn.AvgPool2d(2), conv, nn.BatchNorm2d(outputs))
        body = nn.Sequential(RSign(inputs), binary(inputs, outputs, 3, stride))
        return nn.Sequential(Residual(body, shortcut), RPReLU(outputs))

    return nn.Sequential(real_stem(3, 24), RPReLU(24), layer(24, 24), layer(24, 48, 2), layer(48, 48), pooled_head(48))


FAMILIES = (
    Family(
        "ReActNet-A",
        "trick(sign(x + b), polynomial(x + b)); trick(α·sign(w), clamp(w)); two binary 1×1 concatenated",
        reactnet_a,
        normal(1, 3, 32, 32),
        binary_layers=12,
        total_layers=14,
    ),
    Family(
        "ReActNet, ResNet form",
        "trick(sign(x + b), polynomial(x + b)); trick(α·sign(w), clamp(w))",
        reactnet_resnet,
        normal(2, 3, 12, 12),
        binary_layers=3,
        total_layers=6,
    ),
)
