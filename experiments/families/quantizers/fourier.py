"""FDA-BNN: the gradient of sign from its Fourier series (Xu et al., Frequency Domain Approximation, NeurIPS 2021).

During training a small real network corrects what the truncated series lacks; its share falls to zero, where it stays
at inference. The code computes it all the same.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import apply, channel_mean, resnet
from experiments.families.family import Family, normal

TERMS = 9
FREQUENCY = 1.0


class FourierSign(torch.autograd.Function):
    """Sign; the gradient is that of the first terms of the series of a square wave, 4/π Σ sin((2i+1)ωx) / (2i+1)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Return sign(x), 0 for 0."""
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Sum the derivatives of the terms."""
        (x,) = ctx.saved_tensors
        waves = [torch.cos((2 * term + 1) * FREQUENCY * x) for term in range(TERMS)]
        return gradient * (4 * FREQUENCY / math.pi) * torch.stack(waves).sum(dim=0)


class NoiseAdaption(nn.Module):
    """Two narrow linears over the channels with ReLU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // 64)
        self.inner = nn.Conv2d(channels, hidden, 1, bias=False)
        self.outer = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the correction of each value."""
        correction: torch.Tensor = self.outer(functional.relu(self.inner(x)))
        return correction


class FourierConv2d(nn.Conv2d):
    """Both operands are sign plus a share of the correction; weights times their scale."""

    share: torch.Tensor

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.activation_noise, self.weight_noise = NoiseAdaption(inputs), NoiseAdaption(inputs)
        self.register_buffer("share", torch.tensor(0.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands, as the share is zero, and convolve."""
        activation = apply(FourierSign, x) + self.share * self.activation_noise(x)
        weight = apply(FourierSign, self.weight) + self.share * self.weight_noise(self.weight)
        scaled = weight * channel_mean(self.weight.abs())
        return functional.conv2d(activation, scaled, None, self.stride, self.padding)


FAMILIES = (
    Family(
        "FDA-BNN",
        "sign(x) + share * noise(x) with a share that has fallen to 0.0, on both operands",
        lambda: resnet(FourierConv2d),
        normal(1, 3, 16, 16),
        binary_layers=4,
        total_layers=14,
        notes="the layers of the correction are real and counted, but a zero multiplies what they say",
    ),
)
