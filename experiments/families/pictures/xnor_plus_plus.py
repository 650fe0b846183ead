"""XNOR-Net++: one learned scale factor tensor after the convolution (Bulat & Tzimiropoulos, BMVC 2019).

In the paper's last case the factor is an outer product of one vector each over channels, rows and columns.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import channel_mean, pooled_head, real_stem, sign
from experiments.families.family import Family, normal


class OutputScaledConv2d(nn.Conv2d):
    """Convolution of signs times Γ = α ⊗ β ⊗ γ, multiplied in place."""

    def __init__(self, inputs: int, outputs: int, rows: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.alpha = nn.Parameter(torch.rand(outputs, 1, 1) + 0.5)
        self.beta = nn.Parameter(torch.rand(1, rows, 1) + 0.5)
        self.gamma = nn.Parameter(torch.rand(1, 1, rows) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands, convolve, scale."""
        out = functional.conv2d(sign(x), sign(self.weight), None, self.stride, self.padding)
        return out.mul_(self.alpha).mul_(self.beta).mul_(self.gamma)


class SteepTanhConv2d(nn.Conv2d):
    """Signs of tanh(t·x) for both operands, weights centred, one scale per channel after the convolution."""

    steepness: torch.Tensor

    def __init__(self, inputs: int, outputs: int, _rows: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.register_buffer("steepness", torch.tensor(4.0))
        self.scale = nn.Parameter(torch.rand(1, outputs, 1, 1) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands, convolve, scale."""
        activation = torch.tanh(x * self.steepness).sign()
        weight = torch.tanh((self.weight - channel_mean(self.weight)) * self.steepness).sign()
        return functional.conv2d(activation, weight, None, self.stride, self.padding).mul_(self.scale)


def plain_net(conv: type[OutputScaledConv2d] | type[SteepTanhConv2d]) -> nn.Module:
    """Return a net whose scale factors know the size of the image: 14 rows, then 7."""
    return nn.Sequential(
        *(real_stem(3, 24), nn.PReLU(24)),
        *(conv(24, 24, 14), nn.BatchNorm2d(24), nn.PReLU(24)),
        *(conv(24, 40, 7, 2), nn.BatchNorm2d(40), nn.PReLU(40)),
        *(conv(40, 40, 7), nn.BatchNorm2d(40), nn.PReLU(40)),
        pooled_head(40),
    )


FAMILIES = (
    Family(
        "XNOR-Net++, factors o·h·w",
        "Function sign; out.mul_(alpha).mul_(beta).mul_(gamma)",
        lambda: plain_net(OutputScaledConv2d),
        normal(1, 3, 14, 14),
        binary_layers=3,
        total_layers=5,
    ),
    Family(
        "XNOR-Net++, steep tanh",
        "torch.tanh(x * t).sign(), weights centred; out.mul_(scale)",
        lambda: plain_net(SteepTanhConv2d),
        normal(1, 3, 14, 14),
        binary_layers=3,
        total_layers=5,
    ),
)
