"""XNOR-Net++: one learned scale behind the product instead of analytic ones before it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import ClippedSign
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.scales import unit_scale
from schedules.errors import UserError


class OutputFactors(nn.Module):
    """Γ = α ⊗ β ⊗ γ, a vector for the channels and one for each spatial axis (the paper's fourth case).

    α starts at `unit_scale`, the others at 1. The
    axes' lengths are those of the first output.
    """

    def __init__(self, geometry: Geometry) -> None:
        """Make α; the others wait for an output."""
        super().__init__()
        self.geometry = geometry
        self.channels = nn.Parameter(unit_scale(geometry))
        self.axes = nn.ParameterList(UninitializedParameter() for _ in range(geometry.axes))

    def forward(self, product: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Scale the product.

        Raises
        ------
        UserError
            If the output is not as large as the first one was.
        """
        del x
        scaled = product * self.geometry.per_channel(self.channels)
        lengths = product.shape[product.dim() - self.geometry.axes :]
        for axis, length in enumerate(lengths):
            factors = self._factors(axis, length)
            scaled = scaled * factors.view(-1, *(1,) * (self.geometry.axes - 1 - axis))
        return scaled

    def _factors(self, axis: int, length: int) -> torch.Tensor:
        factors: torch.Tensor = self.axes[axis]
        if isinstance(factors, UninitializedParameter):
            factors.materialize((length,))
            nn.init.ones_(factors)
        if len(factors) != length:
            raise UserError(
                f"xnor++: {len(factors)} scale factors along axis {axis} of an output of {length}; "
                "a network with this binarizer takes inputs of one size"
            )
        return factors


class XnorPlusPlus(Binarizer):
    """x * w = (sign(x) * sign(w)) Γ, all of Γ learned."""

    name = "xnor++"
    paper = "Bulat & Tzimiropoulos, XNOR-Net++, BMVC 2019"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign."""
        del geometry
        return ClippedSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the sign."""
        del geometry
        return ClippedSign()

    def scale(self, geometry: Geometry) -> nn.Module:
        """Return Γ."""
        return OutputFactors(geometry)
