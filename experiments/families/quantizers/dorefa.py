"""DoReFa-Net: activations in {0, 1}, weights ± the mean of the whole layer (Zhou et al., arXiv 1606.06160)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import apply, pooled_head
from experiments.families.family import Family, normal


class ClippedStep(torch.autograd.Function):
    """Clip to [0, 1], then sign: 0 or 1; straight through inside the clip."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Return 1 where ``x`` is positive."""
        ctx.save_for_backward(x)
        return torch.clamp(x, 0, 1).sign()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Pass the gradient where ``x`` lies in [0, 1]."""
        (x,) = ctx.saved_tensors
        return gradient.masked_fill((x < 0) | (x > 1), 0.0)


class RoundedLevels(torch.autograd.Function):
    """k-bit rounding of [0, 1] to multiples of 1/(2^k - 1); straight through."""

    @staticmethod
    def forward(_ctx: Any, x: torch.Tensor, bits: int) -> torch.Tensor:
        """Return the nearest level."""
        steps = float(2**bits - 1)
        return torch.round(x * steps) / steps

    @staticmethod
    def backward(_ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Pass the gradient."""
        return gradient, None


class LayerSign(torch.autograd.Function):
    """sign(w/E)·E with E = mean|w| over the layer; straight through."""

    @staticmethod
    def forward(_ctx: Any, weight: torch.Tensor) -> torch.Tensor:
        """Return ±E."""
        mean = torch.mean(torch.abs(weight)).detach()
        return torch.sign(weight / mean) * mean

    @staticmethod
    def backward(_ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Pass the gradient."""
        return gradient


class StepActivation(nn.Module):
    """{0, 1} by clamp and sign."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return apply(ClippedStep, x)


class RoundedActivation(nn.Module):
    """k bits by clamp and round; one bit is {0, 1} with its threshold at one half."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Quantize."""
        return apply(RoundedLevels, torch.clamp(x, 0, 1), self.bits)


class LayerSignConv2d(nn.Conv2d):
    """Convolution with ±E weights; its input must be quantized already."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize the weights and convolve."""
        return functional.conv2d(x, apply(LayerSign, self.weight), self.bias, self.stride, self.padding)


class PreActivationBlock(nn.Module):
    """Batch norm and quantizer before each of two convolutions; a shrinking shortcut is a quantized 1×1 layer."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.activation1, self.activation2 = activation(), activation()
        self.conv1 = LayerSignConv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = LayerSignConv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.skip = LayerSignConv2d(inputs, outputs, 1, stride, bias=False) if stride != 1 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of both branches."""
        bits = self.activation1(self.norm1(x))
        shortcut: torch.Tensor = x if self.skip is None else self.skip(bits)
        out: torch.Tensor = self.conv2(self.activation2(self.norm2(self.conv1(bits))))
        return out + shortcut


def pre_activation_resnet(activation: Callable[[], nn.Module]) -> nn.Module:
    """Return a ResNet of three blocks, seven quantized convolutions."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        PreActivationBlock(16, 16, 1, activation),
        PreActivationBlock(16, 32, 2, activation),
        PreActivationBlock(32, 32, 1, activation),
        *(nn.BatchNorm2d(32), nn.ReLU(inplace=True), pooled_head(32)),
    )


FAMILIES = (
    Family(
        "DoReFa, clamp and sign",
        "torch.clamp(x, 0, 1).sign(); sign(w / E) * E over the layer",
        lambda: pre_activation_resnet(StepActivation),
        normal(2, 3, 12, 12),
        binary_layers=7,
        total_layers=9,
        notes="activations are 0 or 1, so a padded zero is a legal value",
    ),
    Family(
        "DoReFa, rounded to one bit",
        "torch.round(clamp(x, 0, 1) * n) / n with n = 1; sign(w / E) * E over the layer",
        lambda: pre_activation_resnet(lambda: RoundedActivation(1)),
        normal(2, 3, 12, 12),
        binary_layers=7,
        total_layers=9,
        notes="the threshold is one half, and a tie rounds to even, so to 0",
    ),
)
