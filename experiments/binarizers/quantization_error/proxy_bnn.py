"""ProxyBNN: weights before the sign are combinations of basis vectors; basis and coefficients are both learned."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import ClippedSign
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import ScaledSigns
from experiments.binarizers.parts.scales import RowScaledSign


class ProxySign(nn.Module):
    """α sign(A P) of coefficients A, the latent weights, and a proxy matrix P over input channels, at first 1."""

    def __init__(self, geometry: Geometry) -> None:
        """Start with the unit vectors for a basis."""
        super().__init__()
        self.basis = nn.Parameter(torch.eye(geometry.weight_shape[1]))
        self.sign = RowScaledSign()

    def forward(self, w: torch.Tensor) -> ScaledSigns:
        """Combine and binarize ``(outputs, inputs, *kernel)``."""
        combined = torch.einsum("oi...,ij->oj...", w, self.basis)
        binary: ScaledSigns = self.sign(combined)
        return binary


class ProxyBnn(Binarizer):
    """Proxy matrices for weights, signs of activations."""

    name = "proxybnn"
    paper = "He et al., ProxyBNN, ECCV 2020"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign."""
        del geometry
        return ClippedSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the sign of the combination."""
        return ProxySign(geometry)
