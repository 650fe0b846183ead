"""BiPer: weights are a square wave of the latent ones, with the gradient of a sine."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import PolynomialSign, sign, with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.scales import LearnedScale

FREQUENCY = 20.0


class SquareWave(nn.Module):
    """sign(sin(ω w)) forward, ω cos(ω w) backward."""

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return with_slope(sign(torch.sin(FREQUENCY * w)), FREQUENCY * torch.cos(FREQUENCY * w), w)


class BiPer(Binarizer):
    """Periodic weights, signs of activations, a learned scale."""

    name = "biper"
    paper = "Vargas et al., BiPer: Binary Neural Networks using a Periodic Function, CVPR 2024"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign with the polynomial's slope."""
        del geometry
        return PolynomialSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the square wave."""
        del geometry
        return SquareWave()

    def scale(self, geometry: Geometry) -> nn.Module:
        """Return the learned scale."""
        return LearnedScale(geometry)
