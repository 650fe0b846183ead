"""BNN: signs of both operands, straight through inside [-1, 1], no scale."""

from __future__ import annotations

from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import ClippedSign, StraightSign
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import clip_latent_weights


class Bnn(Binarizer):
    """x_b = sign(x); g_x = g_b 1_{|x| <= 1} (Algorithm 1).

    The gradient of binarized weights is that of the latent ones, which are clipped to [-1, 1] after each update.
    """

    name = "bnn"
    paper = "Hubara et al., Binarized Neural Networks, NeurIPS 2016"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign, straight through inside [-1, 1]."""
        del geometry
        return ClippedSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the sign, straight through."""
        del geometry
        return StraightSign()

    def on_update(self, model: nn.Module) -> None:
        """Clip."""
        clip_latent_weights(model)
