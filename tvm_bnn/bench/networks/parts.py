"""What the networks are built of, binary or float."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Sign(nn.Module):
    """The sign of activations."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return torch.sign(x)


class BinaryConv2d(nn.Conv2d):
    """Convolution with binarized weights; its input must be binary already."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, scaled: bool = True) -> None:
        super().__init__(inputs, outputs, size, stride, padding=size // 2, bias=False)
        self.scaled = scaled
        # One weight in some ten million is drawn as exactly zero, and the sign of that is none.
        self.weight.data.masked_fill_(self.weight == 0, 1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve with sign(w), times the mean of |w| per output channel if scaled (XNOR-Net, eq. 6)."""
        weight = torch.sign(self.weight)
        if self.scaled:
            weight = weight * self.weight.abs().mean(dim=(1, 2, 3), keepdim=True)
        return functional.conv2d(x, weight, None, self.stride, self.padding)


class ChannelBias(nn.Module):
    """Adds a learned constant to each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(0.2 * torch.randn(1, channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shift each channel."""
        return x + self.bias


class Residual(nn.Module):
    """Adds a shortcut to a body."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``body(x) + shortcut(x)``."""
        total: torch.Tensor = self.body(x) + self.shortcut(x)
        return total


def conv(inputs: int, outputs: int, size: int, stride: int = 1, *, binary: bool, scaled: bool = True) -> nn.Module:
    """Return a convolution without bias that keeps the image's size up to the stride."""
    if binary:
        return BinaryConv2d(inputs, outputs, size, stride, scaled)
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


def activation(binary: bool) -> nn.Module:
    """Return the sign, or what float networks have in its place."""
    return Sign() if binary else nn.ReLU()


def pooled_shortcut(inputs: int, outputs: int) -> nn.Sequential:
    """Return average pooling and a real 1x1 convolution: the shortcut around a layer that halves the image."""
    return nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def head(channels: int, classes: int) -> nn.Sequential:
    """Return global average pooling and the real classifier."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def residual_stages(widths: list[int], blocks: int, *, binary: bool, scaled: bool) -> list[nn.Module]:
    """Return four stages of single layers, a shortcut around each; all stages but the first halve the image."""
    layers: list[nn.Module] = []
    inputs = widths[0]
    for stage, outputs in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            made = conv(inputs, outputs, 3, stride, binary=binary, scaled=scaled)
            body = nn.Sequential(activation(binary), made, nn.BatchNorm2d(outputs))
            layers.append(Residual(body, pooled_shortcut(inputs, outputs) if stride != 1 else None))
            inputs = outputs
    return layers
