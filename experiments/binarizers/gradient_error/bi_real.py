"""Bi-Real Net: the piecewise polynomial for activations, magnitude-aware signs for weights."""

from __future__ import annotations

from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import PolynomialSign
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.scales import RowScaledSign


class BiReal(Binarizer):
    """ApproxSign: slope 2 - 2|x|; weights mean|w| sign(w), with that scale in the gradient too.

    The shortcut around every layer is an architecture's business.
    """

    name = "bireal"
    paper = "Liu et al., Bi-Real Net, ECCV 2018"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign with the polynomial's slope."""
        del geometry
        return PolynomialSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the magnitude-aware sign."""
        del geometry
        return RowScaledSign()

    def activation(self) -> nn.Module:
        """Return the same sign as for inputs."""
        return PolynomialSign()
