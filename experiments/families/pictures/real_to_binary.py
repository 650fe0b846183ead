"""Real-to-Binary: the scale of each output channel comes from the real input (Martinez et al., ICLR 2020).

The gate cannot be folded into a threshold: it differs from sample to sample.
"""

from __future__ import annotations

import torch
from torch import nn

from experiments.families.building_blocks import ScaledSignConv2d, Sign, SubsampleAndWiden, pooled_head, real_stem
from experiments.families.family import Family, normal


class Gate(nn.Sequential):
    """Squeeze and excitation: global mean, two linears, sigmoid."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, inputs // 4), nn.ReLU()),
            *(nn.Linear(inputs // 4, outputs), nn.Sigmoid(), nn.Unflatten(1, (outputs, 1, 1))),
        )


class GatedBlock(nn.Module):
    """Batch norm, sign, binary convolution, gate, PReLU, shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.binarize = nn.Sequential(nn.BatchNorm2d(inputs), Sign())
        self.conv = ScaledSignConv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.gate = Gate(inputs, outputs)
        self.activation = nn.PReLU(outputs)
        self.shortcut = SubsampleAndWiden() if stride != 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale the convolution by what the input says."""
        gated: torch.Tensor = self.activation(self.conv(self.binarize(x)) * self.gate(x)) + self.shortcut(x)
        return gated


def real_to_binary_net() -> nn.Module:
    """Return three gated blocks."""
    return nn.Sequential(
        real_stem(3, 16), nn.PReLU(16), GatedBlock(16, 16), GatedBlock(16, 32, 2), GatedBlock(32, 32), pooled_head(32)
    )


FAMILIES = (
    Family(
        "Real-to-Binary",
        "Function sign after batch norm; trick(α·sign(w), clamp); output times sigmoid(f(x))",
        real_to_binary_net,
        normal(2, 3, 13, 13),
        binary_layers=3,
        total_layers=11,
        notes="the linears of the gates are real",
    ),
)
