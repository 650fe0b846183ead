"""Si-BNN: activations of {0, 1}, as ReLU has them, about a learned threshold."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import sign, with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.scales import RowScaledSign

WINDOW, LEAKAGE = 0.5, 0.1


class SparseUnit(nn.Module):
    """1 where x >= θ, else 0; the slope is 1 within Δ of θ, ρ beyond it where the output is 1, else 0 (figure 1).

    θ is learned; Δ is fixed here, and learned in the paper.
    """

    def __init__(self, geometry: Geometry) -> None:
        """Start at one half."""
        super().__init__()
        self.geometry = geometry
        self.threshold = nn.Parameter(torch.full((geometry.inputs,), 0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        above = x - self.geometry.per_channel(self.threshold)
        near = (above.abs() <= WINDOW).to(x.dtype)
        return with_slope((sign(above) + 1) / 2, near + LEAKAGE * (above > WINDOW), above)


class SiBnn(Binarizer):
    """Sparse activations, α sign(w)."""

    name = "sibnn"
    paper = "Wang et al., Sparsity-Inducing Binarized Neural Networks, AAAI 2020"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sparse unit."""
        return SparseUnit(geometry)

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return α sign(w)."""
        del geometry
        return RowScaledSign()
