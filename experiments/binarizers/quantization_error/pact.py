"""PACT at two bits, for comparison: activations clipped at a learned bound, weights as DoReFa-Net has them."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import ScaledSigns

BITS = 2
_STEPS = 2**BITS - 1


class ClippedLevels(nn.Module):
    """round(y (2^k - 1) / α) · α / (2^k - 1), y = clip(x, 0, α); α learns from what is clipped."""

    def __init__(self) -> None:
        """Start at a bound of 2: norms leave few values beyond it."""
        super().__init__()
        self.bound = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> ScaledSigns:
        """Quantize to the integers up to 2^k - 1, and their scale."""
        bound = self.bound.detach()
        unit = x / bound
        inside = ((unit >= 0) & (unit <= 1)).to(x.dtype)
        levels = with_slope(torch.round(unit.clamp(0, 1) * _STEPS), _STEPS * inside, unit)
        if torch.is_grad_enabled():
            # The derivative of a level times its scale is 1 for x inside, and 1 for α where x is clipped, else 0.
            levels = levels + (x >= bound).to(x.dtype) * (self.bound - bound) * _STEPS / bound
        return ScaledSigns(levels, bound / _STEPS)


class QuantizedWeight(nn.Module):
    """2 quantize(tanh(w) / (2 max|tanh w|) + 1/2) - 1 (Zhou et al., equation 9), as odd numbers over 2^k - 1."""

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
