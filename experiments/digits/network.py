"""The small binary network that the compiler ships as its embedded default.

A Bi-Real-style net (Liu et al., ECCV 2018) for scikit-learn's handwritten digits: float stem and head, binary
convolutions with a shortcut each, and one bottleneck whose inner activation only ever exists as bits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def binarize_activation(x: torch.Tensor) -> torch.Tensor:
    """sign(x) whose gradient is that of Bi-Real's piecewise polynomial (Liu et al., ECCV 2018)."""
    clipped = x.clamp(-1, 1)
    surrogate = clipped * (2 - clipped.abs())
    return torch.sign(x).detach() - surrogate.detach() + surrogate


def binarize_weight(w: torch.Tensor) -> torch.Tensor:
    """mean|w| per output channel times sign(w), with the straight-through gradient of clamp (XNOR-Net, eq. 6)."""
    scale = w.abs().mean(dim=(1, 2, 3), keepdim=True).detach()
    clipped = w.clamp(-1, 1)
    return (scale * torch.sign(w)).detach() - clipped.detach() + clipped


class BinaryConv2d(nn.Conv2d):
    """Convolution of sign tensors; zero padding, so a padded tap contributes nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and convolve."""
        weight = binarize_weight(self.weight)
        return F.conv2d(binarize_activation(x), weight, None, self.stride, self.padding)


def binary_conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """A bias-free binary convolution with its batch norm."""
    conv = BinaryConv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """One binary 3x3 convolution inside its own shortcut; a stride-2 block pools and widens the shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        """``inputs`` and ``outputs`` count channels; ``stride`` is 1 or 2."""
        super().__init__()
        self.body = binary_conv(inputs, outputs, 3, stride)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1:
            self.shortcut = nn.Sequential(nn.AvgPool2d(2), binary_conv(inputs, outputs, 1))
        self.activation = nn.PReLU(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``prelu(body(x) + shortcut(x))``."""
        y: torch.Tensor = self.activation(self.body(x) + self.shortcut(x))
        return y


class Bottleneck(nn.Module):
    """Binary 1x1 then binary 3x3; between them only signs are used."""

    def __init__(self, channels: int) -> None:
        """Input, inner and output tensors all have ``channels`` channels."""
        super().__init__()
        self.reduce = binary_conv(channels, channels, 1)
        self.expand = binary_conv(channels, channels, 3)
        self.activation = nn.PReLU(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``prelu(expand(reduce(x)) + x)``."""
        y: torch.Tensor = self.activation(self.expand(self.reduce(x)) + x)
        return y


class DigitsNet(nn.Module):
    """``(N, 1, 8, 8)`` float32 in [0, 1] to ``(N, 10)`` logits; seven binary convolutions."""

    def __init__(self) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.PReLU(32))
        self.blocks = nn.Sequential(Block(32, 32), Block(32, 32), Block(32, 64, stride=2), Block(64, 64))
        self.bottleneck = Bottleneck(64)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify a batch of images."""
        x = self.bottleneck(self.blocks(self.stem(x)))
        logits: torch.Tensor = self.head(x.mean(dim=(2, 3)))
        return logits
