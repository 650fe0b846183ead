"""SA-BNN: weights of either sign have gradients of different sizes, so that fewer flip to and fro."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import PolynomialSign, inside, sign, with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import ScaledSigns
from experiments.binarizers.parts.scales import channel_scale

POSITIVE, NEGATIVE = 1.0, 0.75


class StateAwareSign(nn.Module):
    """α sign(w) whose slope is that of clamp times one coefficient where w >= 0 and another where not."""

    def forward(self, w: torch.Tensor) -> ScaledSigns:
        """Binarize."""
        coefficient = torch.where(w >= 0, POSITIVE, NEGATIVE)
        return ScaledSigns(with_slope(sign(w), coefficient * inside(w), w), channel_scale(w))


class SaBnn(Binarizer):
    """State-aware gradients of weights, the polynomial for activations."""

    name = "sabnn"
    paper = "Liu et al., SA-BNN: State-Aware Binary Neural Network, AAAI 2021"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign with the polynomial's slope."""
        del geometry
        return PolynomialSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the state-aware sign."""
        del geometry
        return StateAwareSign()
