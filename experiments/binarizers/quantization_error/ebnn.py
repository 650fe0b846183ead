"""Expert binary convolution (EBNN): the input chooses between two sets of binary weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import PolynomialSign, sign, with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import BinaryLayer, RealScaled, ScaledSigns, Unscaled
from experiments.binarizers.parts.scales import RowScaledSign


class WinnerTakesAll(nn.Module):
    """1 where the first expert wins, else 0, from the input's channel means; backward is softmax's.

    In the authors' code it is that of a sigmoid.
    """

    def __init__(self, geometry: Geometry) -> None:
        """Take the layer's shape."""
        super().__init__()
        self.geometry = geometry
        self.gate = nn.Linear(geometry.inputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(N, 1, ...)``, of a linear layer ``(..., 1)``, that broadcasts over the product."""
        space = tuple(range(-self.geometry.axes, 0))
        lead: torch.Tensor = self.gate(x.mean(dim=space) if space else x)
        smooth = torch.sigmoid(lead)
        chosen: torch.Tensor = with_slope((sign(lead) + 1) / 2, smooth * (1 - smooth), lead)
        return chosen.view(*chosen.shape, *(1,) * len(space))


class ExpertLayer(BinaryLayer):
    """The product with the weights that the gate chose.

    Both products are computed and one is kept, as a compiled graph is static; the paper computes the chosen one.
    """

    def __init__(self, geometry: Geometry, inputs: nn.Module, weights: nn.Module, bias: bool) -> None:
        """Draw the second expert as the first."""
        super().__init__(geometry, inputs, weights, Unscaled(), bias=bias)
        fan_in = math.prod(geometry.weight_shape[1:])
        self.weight = nn.Parameter(torch.randn(2, *geometry.weight_shape) / math.sqrt(fan_in))
        self.gate = WinnerTakesAll(geometry)

    @property
    def real_weights(self) -> nn.Module:
        """The latent weights, as a pair that the product takes."""
        return RealScaled()

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """Return the chosen expert's product."""
        signs = self.inputs(x)
        first, second = (self._one(signs, weight) for weight in self.weight)
        chosen: torch.Tensor = self.gate(x)
        return chosen * first + (1 - chosen) * second

    def _one(self, signs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        binary: ScaledSigns = self.weights(weight)
        return self.geometry.convolve(signs, binary.signs) * self.geometry.per_channel(binary.scale)


class Ebnn(Binarizer):
    """Two experts a layer; α sign(w) in each."""

    name = "ebnn"
    paper = "Bulat, Martinez & Tzimiropoulos, High-Capacity Expert Binary Networks, ICLR 2021"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign with the polynomial's slope."""
        del geometry
        return PolynomialSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return α sign(w), which both experts take."""
        del geometry
        return RowScaledSign()

    def layer(self, geometry: Geometry, bias: bool) -> nn.Module:
        """Return a layer of two experts."""
        return ExpertLayer(geometry, self.inputs(geometry), self.weights(geometry), bias)
