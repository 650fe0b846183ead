"""BNN: signs of both operands, straight through inside [-1, 1], no scale."""

from __future__ import annotations

from torch import nn

from experiments.binarizers.binarizer import Binarizer
from experiments.binarizers.estimators import ClippedSign
from experiments.binarizers.geometry import Geometry


class Bnn(Binarizer):
    """x_b = sign(x); g_x = g_b 1_{|x| <= 1}; the same for weights.

    The paper clips latent weights to [-1, 1] after each update (Algorithm 1); here the window stops those that
    leave it.
    """

    name = "bnn"
    paper = "Hubara et al., Binarized Neural Networks, NeurIPS 2016"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign, straight through inside [-1, 1]."""
        del geometry
        return ClippedSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the same as for activations."""
        del geometry
        return ClippedSign()
