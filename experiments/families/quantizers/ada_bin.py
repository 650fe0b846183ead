"""AdaBin: each operand takes two values of its own, centre ± distance (Tu et al., ECCV 2022).

A product of two such tensors has four terms, of which only one is a product of signs; a zero at the border is
neither of the two values.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import Residual, SubsampleAndWiden, channel_mean, pooled_head, real_stem, sign
from experiments.families.family import Family, normal


class Maxout(nn.Module):
    """γ₊·max(x, 0) - γ₋·max(-x, 0), with learned slopes per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.positive = nn.Parameter(1 + 0.2 * torch.randn(channels, 1, 1))
        self.negative = nn.Parameter(0.25 + 0.2 * torch.randn(channels, 1, 1))
        self.bias = nn.Parameter(0.2 * torch.randn(channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Bend each channel at its bias."""
        shifted = x + self.bias
        return self.positive * functional.relu(shifted) - self.negative * functional.relu(-shifted)


class TwoValueConv2d(nn.Conv2d):
    """Activations α(s((x - β)/α) + β), as the public code has it; weights α·s((w - β)/α) + β."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.alpha = nn.Parameter(torch.rand(1) + 0.5)
        self.beta = nn.Parameter(0.2 * torch.randn(1))

    def activation(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations as two values."""
        return self.alpha * (sign((x - self.beta) / self.alpha) + self.beta)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give both operands two values and convolve."""
        centre = channel_mean(self.weight)
        distance = torch.sqrt(channel_mean((self.weight - centre) ** 2))
        weight = sign((self.weight - centre) / distance) * distance + centre
        return functional.conv2d(self.activation(x), weight, None, self.stride, self.padding)


class PaperTwoValueConv2d(TwoValueConv2d):
    """The activations of the paper, α·s((x - β)/α) + β."""

    def activation(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations as two values."""
        return self.alpha * sign((x - self.beta) / self.alpha) + self.beta


def ada_bin_net(conv: type[TwoValueConv2d]) -> nn.Module:
    """Return a small ResNet with Maxout."""

    def layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
        body = nn.Sequential(conv(inputs, outputs, stride), nn.BatchNorm2d(outputs))
        return nn.Sequential(Residual(body, SubsampleAndWiden() if stride != 1 else None), Maxout(outputs))

    return nn.Sequential(real_stem(3, 16), Maxout(16), layer(16, 16), layer(16, 32, 2), layer(32, 32), pooled_head(32))


FAMILIES = (
    Family(
        "AdaBin, offset inside the scale",
        "alpha * (sign((x - beta) / alpha) + beta); sign((w - mean) / std) * std + mean",
        lambda: ada_bin_net(TwoValueConv2d),
        normal(1, 3, 15, 15),
        binary_layers=3,
        total_layers=5,
    ),
    Family(
        "AdaBin, offset outside the scale",
        "alpha * sign((x - beta) / alpha) + beta; sign((w - mean) / std) * std + mean",
        lambda: ada_bin_net(PaperTwoValueConv2d),
        normal(2, 3, 12, 12),
        binary_layers=3,
        total_layers=5,
    ),
)
