"""PACT at two bits, for comparison: activations clipped at a learned bound, weights as DoReFa-Net has them."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.binarizer import Binarizer
from experiments.binarizers.dorefa import QuantizedUnit
from experiments.binarizers.estimators import with_slope
from experiments.binarizers.geometry import Geometry
from experiments.binarizers.layer import ScaledSigns

BITS = 2
_STEPS = 2**BITS - 1


class ClippedLevels(nn.Module):
    """α round(y (2^k - 1) / α) / (2^k - 1), y = clip(x, 0, α); α learns from what is clipped."""

    def __init__(self) -> None:
        """Start at a bound of 2: norms leave few values beyond it."""
        super().__init__()
        self.bound = nn.Parameter(torch.tensor(2.0))
        self.quantize = QuantizedUnit(BITS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Quantize."""
        levels: torch.Tensor = self.quantize(x / self.bound.detach())
        clipped = (x >= self.bound).to(x.dtype)
        # The derivative for α is 1 where x is clipped, else 0; for x it is 1 inside, which the unit passes.
        return levels * self.bound.detach() + clipped * (self.bound - self.bound.detach())


class QuantizedWeight(nn.Module):
    """2 quantize(tanh(w) / (2 max|tanh w|) + 1/2) - 1 (Zhou et al., DoReFa-Net), as odd numbers over 2^k - 1."""

    def forward(self, w: torch.Tensor) -> ScaledSigns:
        """Quantize; the gradient of rounding is that of the identity."""
        squashed = torch.tanh(w)
        unit = squashed / (2 * squashed.abs().max()) + 0.5
        odd = 2 * unit * _STEPS - _STEPS
        levels = with_slope(2 * torch.round(unit * _STEPS) - _STEPS, torch.ones_like(w), odd)
        return ScaledSigns(levels, w.new_tensor(1 / _STEPS))


class Pact(Binarizer):
    """Two bits for both operands."""

    name = "pact2"
    paper = "Choi et al., PACT, arXiv 1805.06085, 2018"
    bits = (BITS, BITS)

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the learned clip."""
        del geometry
        return ClippedLevels()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return DoReFa-Net's weights."""
        del geometry
        return QuantizedWeight()

    def nonlinearity(self, channels: int) -> nn.Module:
        """Return ReLU, whose upper end the learned clip is."""
        del channels
        return nn.ReLU()
