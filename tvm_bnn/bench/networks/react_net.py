"""ReActNet-A: MobileNet with learned shifts around sign and PReLU (Liu et al., ECCV 2020)."""

from __future__ import annotations

import torch
from torch import nn

from tvm_bnn.bench.networks.parts import ChannelBias, Residual, Sign, conv, head

#: Output channels in multiples of the stem's, and stride, of each block.
BLOCKS = ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), *[(16, 1)] * 5, (32, 2), (32, 1))


class Widening(nn.Module):
    """Doubles the channels: two 1x1 layers of the same signs, a shortcut around each, concatenated."""

    def __init__(self, channels: int, binary: bool) -> None:
        super().__init__()
        self.shift = shifted_sign(channels, binary)
        self.left, self.right = normed(channels, 1, 1, binary), normed(channels, 1, 1, binary)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, C, H, W)`` to ``(N, 2C, H, W)``."""
        signs = self.shift(x)
        return torch.cat([self.left(signs) + x, self.right(signs) + x], dim=1)


def shifted_sign(channels: int, binary: bool) -> nn.Sequential:
    """Return RSign; the float twin keeps the shift."""
    return nn.Sequential(ChannelBias(channels), *([Sign()] if binary else []))


def shifted_prelu(channels: int) -> nn.Sequential:
    """Return RPReLU."""
    return nn.Sequential(ChannelBias(channels), nn.PReLU(channels), ChannelBias(channels))


def normed(channels: int, size: int, stride: int, binary: bool) -> nn.Sequential:
    """Return a convolution with its batch norm."""
    return nn.Sequential(conv(channels, channels, size, stride, binary=binary), nn.BatchNorm2d(channels))


def block(inputs: int, outputs: int, stride: int, binary: bool) -> nn.Sequential:
    """Return a 3x3 and a 1x1 layer; ``outputs`` is ``inputs`` or twice that."""
    spatial = nn.Sequential(shifted_sign(inputs, binary), normed(inputs, 3, stride, binary))
    pointwise: nn.Module = (
        Residual(nn.Sequential(shifted_sign(inputs, binary), normed(inputs, 1, 1, binary)))
        if inputs == outputs
        else Widening(inputs, binary)
    )
    shortcut = nn.AvgPool2d(2) if stride != 1 else None
    return nn.Sequential(Residual(spatial, shortcut), shifted_prelu(inputs), pointwise, shifted_prelu(outputs))


def react_net_a(binary: bool, width: int = 32, classes: int = 1000) -> nn.Module:
    """Return 13 blocks behind a real 3x3 stem."""
    blocks: list[nn.Module] = []
    inputs = width
    for factor, stride in BLOCKS:
        blocks.append(block(inputs, width * factor, stride, binary))
        inputs = width * factor
    stem = (nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width))
    return nn.Sequential(*stem, *blocks, head(inputs, classes))
