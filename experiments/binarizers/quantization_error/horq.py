"""HORQ: what the sign of the input lacks to it is binarized once more."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import ClippedSign
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import BinaryLayer, RealScaled, ScaledSigns, Unscaled
from experiments.binarizers.parts.scales import RowScaledSign


class ResidualOrderLayer(BinaryLayer):
    """Second order: x ≈ β_1 H_1 + β_2 H_2, H_1 = sign(x), β_1 = mean|x|, and the same of x - β_1 H_1.

    The means are over a sample, of a linear layer over a row; no gradient flows through them.
    """

    @property
    def real_weights(self) -> nn.Module:
        """The latent weights, as a pair that the product takes."""
        return RealScaled()

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """Sum the products of both orders."""
        weights = self.weights(self.weight)
        first, second = self._orders(x)
        return first[0] * self._convolve(first[1], weights) + second[0] * self._convolve(second[1], weights)

    def _orders(self, x: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        axes = tuple(range(1, x.dim())) if self.geometry.axes else (-1,)
        found = []
        for _ in range(2):
            beta = x.detach().abs().mean(dim=axes, keepdim=True)
            signs = self.inputs(x)
            found.append((beta, signs))
            x = x - beta * signs.detach()
        return found

    def _convolve(self, signs: torch.Tensor, weights: ScaledSigns) -> torch.Tensor:
        return self.geometry.convolve(signs, weights.signs) * self.geometry.per_channel(weights.scale)


class Horq(Binarizer):
    """Two orders for activations, α sign(w) for weights."""

    name = "horq"
    paper = "Li et al., Performance Guaranteed Network Acceleration via High-Order Residual Quantization, ICCV 2017"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign, which both orders take."""
        del geometry
        return ClippedSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return α sign(w)."""
        del geometry
        return RowScaledSign()

    def layer(self, geometry: Geometry, bias: bool) -> nn.Module:
        """Return a layer of two orders."""
        parts = self.inputs(geometry), self.weights(geometry), Unscaled()
        return ResidualOrderLayer(geometry, *parts, bias=bias)
