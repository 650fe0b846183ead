"""bitorch and QuickNet: sign(0) is +1 and borders are -1, so that every value is a bit.

QuickNet is from Bannink et al., Larq Compute Engine, MLSys 2021; bitorch is Hasso Plattner Institute's library.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import Residual, apply, pooled_head
from experiments.families.family import Family, normal


class BitSign(torch.autograd.Function):
    """Sign in {-1, +1}; the gradient passes where |x| is at most 1."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Return the sign, +1 for 0."""
        ctx.save_for_backward(x)
        signs = torch.sign(x)
        return torch.where(signs == 0, torch.tensor(1.0, device=x.device), signs)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Cancel the gradient outside [-1, 1]."""
        (x,) = ctx.saved_tensors
        return torch.where(torch.abs(x) <= 1, gradient, torch.tensor(0.0, device=x.device))


def bit_sign(x: torch.Tensor) -> torch.Tensor:
    """Sign in {-1, +1}."""
    return apply(BitSign, x)


class QuantConv1d(nn.Conv1d):
    """Binary convolution over time; -1 outside."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad the signs by -1 and convolve."""
        signs = functional.pad(bit_sign(x), (int(self.padding[0]),) * 2, "constant", -1.0)
        return functional.conv1d(signs, bit_sign(self.weight), self.bias, self.stride, 0, self.dilation, self.groups)


class QuantConv2d(nn.Conv2d):
    """Binary convolution; -1 outside."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad the signs by -1 and convolve."""
        rows, columns = int(self.padding[0]), int(self.padding[1])
        signs = functional.pad(bit_sign(x), (columns, columns, rows, rows), "constant", -1.0)
        return functional.conv2d(signs, bit_sign(self.weight), self.bias, self.stride, 0, self.dilation, self.groups)


class QuantConv3d(nn.Conv3d):
    """Binary convolution over a volume; -1 outside."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad the signs by -1 and convolve."""
        signs = functional.pad(bit_sign(x), (int(self.padding[0]),) * 6, "constant", -1.0)
        return functional.conv3d(signs, bit_sign(self.weight), self.bias, self.stride, 0, self.dilation, self.groups)


class QuantLinear(nn.Linear):
    """Binary linear layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply signs."""
        return functional.linear(bit_sign(x), bit_sign(self.weight), self.bias)


class BlurPool(nn.Module):
    """Max pooling without aliasing: maximum, then a fixed real 3×3 kernel per channel, stride 2."""

    kernel: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(line, line).expand(channels, 1, 3, 3).clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Halve the image."""
        highest = functional.max_pool2d(x, 2, stride=1)
        return functional.conv2d(highest, self.kernel, stride=2, padding=1, groups=len(self.kernel))


def quicknet_layer(channels: int) -> Residual:
    """Return a binary convolution, ReLU and batch norm with a shortcut."""
    conv = QuantConv2d(channels, channels, 3, padding=1, bias=False)
    return Residual(nn.Sequential(conv, nn.ReLU(), nn.BatchNorm2d(channels)))


def quicknet() -> nn.Module:
    """Return two sections of two layers; between them blur-pool and a real 1×1 layer widen the net."""
    stem = (
        *(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, 2, 1, groups=4, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 32, 1, bias=False)),
        nn.BatchNorm2d(32),
    )
    transition = (BlurPool(32), nn.Conv2d(32, 64, 1, bias=False), nn.BatchNorm2d(64))
    first, second = (quicknet_layer(32) for _ in range(2)), (quicknet_layer(64) for _ in range(2))
    return nn.Sequential(*stem, *first, nn.ReLU(), *transition, *second, nn.ReLU(), pooled_head(64))


def bitorch_lenet() -> nn.Module:
    """Return the MNIST net: 5×5 layers and a linear, all binary but the first and the last."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5), nn.Tanh(), nn.MaxPool2d(2), nn.BatchNorm2d(8)),
        *(QuantConv2d(8, 16, 5, padding=2), nn.BatchNorm2d(16), nn.MaxPool2d(2)),
        *(nn.Flatten(), QuantLinear(16 * 6 * 6, 40), nn.BatchNorm1d(40), nn.Tanh(), nn.Linear(40, 10)),
    )


def sequence_net() -> nn.Module:
    """Return three layers over time: plain, strided, dilated."""
    return nn.Sequential(
        *(nn.Conv1d(6, 24, 5, padding=2), nn.BatchNorm1d(24)),
        *(QuantConv1d(24, 32, 3, padding=1, bias=False), nn.BatchNorm1d(32)),
        *(QuantConv1d(32, 32, 5, stride=2, padding=2, bias=False), nn.BatchNorm1d(32)),
        *(QuantConv1d(32, 32, 3, padding=2, dilation=2, bias=False), nn.BatchNorm1d(32)),
        *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 10)),
    )


def volume_net() -> nn.Module:
    """Return two layers over a volume, the second with stride 2."""
    return nn.Sequential(
        *(nn.Conv3d(2, 16, 3, padding=1), nn.BatchNorm3d(16)),
        *(QuantConv3d(16, 16, 3, padding=1, bias=False), nn.BatchNorm3d(16)),
        *(QuantConv3d(16, 24, 3, stride=2, padding=1, bias=False), nn.BatchNorm3d(24)),
        *(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(24, 10)),
    )


IDIOM = "torch.where(sign == 0, 1, sign) on both operands, padded by -1"

FAMILIES = (
    Family(
        "QuickNet",
        IDIOM,
        quicknet,
        normal(1, 3, 32, 32),
        binary_layers=4,
        total_layers=10,
        notes="the blur is a real depth-wise convolution",
    ),
    Family("bitorch LeNet", IDIOM, bitorch_lenet, normal(2, 1, 28, 28), binary_layers=2, total_layers=4),
    Family("bitorch, one dimension", IDIOM, sequence_net, normal(2, 6, 30), binary_layers=3, total_layers=5),
    Family("bitorch, three dimensions", IDIOM, volume_net, normal(1, 2, 6, 7, 7), binary_layers=2, total_layers=4),
)
