"""BNext: binary layers with real attention beside them (Guo et al., arXiv 2211.12933).

Both temperatures fall during training; at the end that of the weights is zero, which the code asks at run time.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import RPReLU, channel_mean, pooled_head, real_stem
from experiments.families.family import Family, normal

COLD = 1e-7


class TemperedConv2d(nn.Conv2d):
    """(s(clamp(x/T)) - clamp(x/T)).detach() + clamp(x/T); weights by sign once their temperature is gone."""

    weight_temperature: torch.Tensor
    temperature: torch.Tensor

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
        self.register_buffer("temperature", torch.tensor(0.7))
        self.register_buffer("weight_temperature", torch.tensor(0.0))

    def binary_weight(self) -> torch.Tensor:
        """Return ±α of the centred weights, or their softened form while the temperature lasts."""
        centred = self.weight - channel_mean(self.weight)
        scale = channel_mean(centred.abs())
        if self.weight_temperature < COLD:
            return scale * centred.sign()
        return scale * torch.clamp(centred / self.weight_temperature, -1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and convolve."""
        clipped = torch.clamp(x / self.temperature, -1, 1)
        signs = (clipped.sign() - clipped).detach() + clipped
        return functional.conv2d(signs, self.binary_weight(), None, self.stride, self.padding, 1, self.groups)


class ExcitedLayer(nn.Module):
    """A binary convolution scaled by a real squeeze-and-excitation of its input, with shortcut and batch norm."""

    def __init__(self, channels: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.shift = nn.BatchNorm2d(channels)
        self.conv = TemperedConv2d(channels, channels, size, stride, groups)
        self.attention = nn.Sequential(
            *(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels // 4, 1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(channels // 4, channels, 1), nn.Sigmoid()),
        )
        self.shortcut = nn.AvgPool2d(2, 2) if stride != 1 else nn.Identity()
        self.norm = nn.BatchNorm2d(channels)
        self.activation = RPReLU(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the recoupled feature map."""
        out = self.conv(self.shift(x)) * self.attention(x)
        recoupled: torch.Tensor = self.activation(self.norm(out) + self.shortcut(x))
        return recoupled


class WideningLayer(nn.Module):
    """Two excited 1×1 layers of the same input, concatenated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(ExcitedLayer(channels, 1) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, C, H, W)`` to ``(N, 2C, H, W)``."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def bnext() -> nn.Module:
    """Return two blocks: 3×3 and widening 1×1 layers, then a grouped 3×3 with stride 2 and a 1×1 layer."""
    return nn.Sequential(
        *(real_stem(3, 24, 2), nn.PReLU(24)),
        *(ExcitedLayer(24, 3), WideningLayer(24)),
        *(ExcitedLayer(48, 3, stride=2, groups=4), ExcitedLayer(48, 1)),
        pooled_head(48),
    )


FAMILIES = (
    Family(
        "BNext",
        "(s(clamp(x/T)) - clamp(x/T)).detach() + clamp(x/T); `if temperature < 1e-7` picks sign for the weights",
        bnext,
        normal(1, 3, 24, 24),
        binary_layers=5,
        total_layers=17,
        exports=False,
        notes="the attention reads the real input and multiplies the integer output",
    ),
)
