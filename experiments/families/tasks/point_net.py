"""BiPointNet: binarized point clouds (Qin et al., ICLR 2021, arXiv 2010.05501).

A shared MLP over ``(N, points, channels)``; the maximum over points is shifted so that its sign carries information
(entropy-maximising aggregation), and one learned scalar a layer restores the scale (layer-wise scale recovery).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import sign
from experiments.families.family import Family, normal


class RecoveredLinear(nn.Linear):
    """Linear of signs; the scale of the real weights is put in when it is still zero."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.scale = nn.Parameter(torch.rand(1) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and multiply."""
        if self.scale.item() == 0:
            self.scale.data = torch.std(self.weight).view(1) / self.weight.shape[1] ** 0.5
        return functional.linear(sign(x), sign(self.weight) * self.scale)


class RowScaleLinear(nn.Linear):
    """The XNOR form: each point's signs times its mean |x|; α·sign(w)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and multiply."""
        activation = sign(x) * x.abs().mean(-1, keepdim=True)
        weight = sign(self.weight) * self.weight.abs().mean(-1, keepdim=True)
        return functional.linear(activation, weight)


class PointNorm(nn.Module):
    """Batch norm of the last axis of ``(N, points, channels)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise each channel."""
        normalised: torch.Tensor = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return normalised


class PointNet(nn.Module):
    """A real input transform, three shared layers of which two are binary, aggregation, two linears."""

    def __init__(self, linear: type[RecoveredLinear] | type[RowScaleLinear], offset: float) -> None:
        super().__init__()
        self.offset = offset
        self.transform = nn.Linear(3, 9)
        self.first = nn.Linear(3, 32)
        self.shared = nn.Sequential(
            *(nn.Hardtanh(), linear(32, 48), PointNorm(48)),
            *(nn.Hardtanh(), linear(48, 64), PointNorm(64)),
        )
        self.head = nn.Sequential(linear(64, 40), nn.BatchNorm1d(40), nn.Hardtanh(), nn.Linear(40, 10))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Classify ``(N, points, 3)``."""
        matrix = self.transform(points.mean(dim=1)).view(-1, 3, 3) + torch.eye(3)
        features = self.shared(self.first(torch.bmm(points, matrix)))
        logits: torch.Tensor = self.head(torch.max(features, dim=1)[0] - self.offset)
        return logits


FAMILIES = (
    Family(
        "BiPointNet",
        "Function sign; sign(w) * scale, with `if scale.item() == 0` before it",
        lambda: PointNet(RecoveredLinear, 2.0),
        normal(2, 40, 3),
        binary_layers=3,
        total_layers=7,
        exports=False,
    ),
    Family(
        "PointNet, XNOR",
        "sign(x) * x.abs().mean(-1, keepdim=True) a point",
        lambda: PointNet(RowScaleLinear, 2.0),
        normal(2, 40, 3),
        binary_layers=3,
        total_layers=7,
    ),
)
