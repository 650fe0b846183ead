"""What several families share: straight-through estimators, learned thresholds, and the real ends of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn import functional

Conv: TypeAlias = Callable[[int, int, int], nn.Module]
"""Makes a 3×3 convolution from its input channels, output channels and stride."""


class ClampedSign(torch.autograd.Function):
    """sign(x) with the gradient of clamp to [-1, 1] (Hubara et al., Binarized Neural Networks, Algorithm 1)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Return sign(x), 0 for 0."""
        ctx.save_for_backward(x)
        return torch.sign(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Pass the gradient where |x| is at most 1."""
        (x,) = ctx.saved_tensors
        return gradient.masked_fill(x.abs().gt(1), 0.0)


def apply(function: type[torch.autograd.Function], *operands: Any) -> torch.Tensor:
    """Call an autograd function; PyTorch leaves ``apply`` without types."""
    result: torch.Tensor = function.apply(*operands)  # type: ignore[no-untyped-call]
    return result


def sign(x: torch.Tensor) -> torch.Tensor:
    """Sign as an autograd function, which export turns into a bare ``aten.sign``."""
    return apply(ClampedSign, x)


def trick(hard: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
    """Return the value of ``hard`` (up to rounding) with the gradient of ``soft``."""
    return hard.detach() - soft.detach() + soft


def polynomial(x: torch.Tensor) -> torch.Tensor:
    """Return Bi-Real's second-order approximation of sign (ApproxSign; ECCV 2018), from one mask per piece."""
    below, negative, inside = (x < bound for bound in (-1, 0, 1))
    left = -1 * below.to(x.dtype) + (x * x + 2 * x) * (1 - below.to(x.dtype))
    middle = left * negative.to(x.dtype) + (-x * x + 2 * x) * (1 - negative.to(x.dtype))
    return middle * inside.to(x.dtype) + 1 * (1 - inside.to(x.dtype))


def polynomial_sign(x: torch.Tensor) -> torch.Tensor:
    """Return sign(x) by the detach trick over the polynomial."""
    return trick(torch.sign(x), polynomial(x))


def channel_mean(w: torch.Tensor) -> torch.Tensor:
    """Mean over everything but the first axis, kept as axes of size 1."""
    return w.mean(dim=tuple(range(1, w.dim())), keepdim=True)


def scaled_sign(w: torch.Tensor) -> torch.Tensor:
    """Return mean|w| per output channel times sign(w) (Rastegari et al., XNOR-Net, eq. 6) by the detach trick."""
    return trick(channel_mean(w.abs()) * torch.sign(w), torch.clamp(w, -1.0, 1.0))


class ScaledSignConv2d(nn.Conv2d):
    """Convolution whose weights are `scaled_sign`; its input must be binary already."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize the weights and convolve."""
        weight = scaled_sign(self.weight)
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class ChannelBias(nn.Module):
    """Adds a learned constant to each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(0.2 * torch.randn(1, channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shift each channel."""
        return x + self.bias.expand_as(x)


class RSign(nn.Sequential):
    """Sign with a learned threshold per channel (Liu et al., ReActNet, ECCV 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__(ChannelBias(channels), PolynomialSign())


class RPReLU(nn.Sequential):
    """PReLU with learned shifts before and after (Liu et al., ReActNet, ECCV 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__(ChannelBias(channels), nn.PReLU(channels), ChannelBias(channels))


class PolynomialSign(nn.Module):
    """`polynomial_sign` as a layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return polynomial_sign(x)


class Sign(nn.Module):
    """`sign` as a layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return sign(x)


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


class SubsampleAndWiden(nn.Module):
    """The shortcut without parameters (He et al., option A): every other pixel, missing channels are zero."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, C, H, W)`` to ``(N, 2C, ⌈H/2⌉, ⌈W/2⌉)``."""
        half = x.shape[1] // 2
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half), "constant", 0)


def real_stem(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return the first convolution, which nearly every family leaves real, with its batch norm."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))


def pooled_head(channels: int, classes: int = 10) -> nn.Sequential:
    """Return global average pooling and the real classifier."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def resnet(conv: Conv) -> nn.Sequential:
    """Return a small CIFAR ResNet with a shortcut around every convolution, as Bi-Real Net introduced them.

    Four layers from ``conv``, one of which halves the image and doubles the channels, with batch norm and Hardtanh;
    a real stem before, a real classifier behind.
    """

    def layer(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        body = nn.Sequential(conv(inputs, outputs, stride), nn.BatchNorm2d(outputs))
        return nn.Sequential(Residual(body, SubsampleAndWiden() if stride != 1 else None), nn.Hardtanh())

    layers = (layer(16, 16, 1), layer(16, 16, 1), layer(16, 32, 2), layer(32, 32, 1))
    return nn.Sequential(real_stem(3, 16), nn.Hardtanh(), *layers, pooled_head(32))
