"""BinaryConnect and BWN: weights alone are binary, activations stay real."""

from __future__ import annotations

from torch import nn

from experiments.binarizers.parts.binarizer import REAL_BITS, Binarizer
from experiments.binarizers.parts.estimators import StraightSign
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import Real, clip_latent_weights
from experiments.binarizers.quantization_error.xnor_net import OptimalScaledSign


class BinaryConnect(Binarizer):
    """w_b = sign(w), straight through (section 2.3); latent weights are clipped to [-1, 1] after each update."""

    name = "binaryconnect"
    paper = "Courbariaux et al., BinaryConnect, NeurIPS 2015"
    bits = (REAL_BITS, 1)

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Leave inputs alone."""
        del geometry
        return Real()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the sign, straight through."""
        del geometry
        return StraightSign()

    def on_update(self, model: nn.Module) -> None:
        """Clip."""
        clip_latent_weights(model)

    def nonlinearity(self, channels: int) -> nn.Module:
        """Return ReLU, as activations are real."""
        del channels
        return nn.ReLU()


class Bwn(BinaryConnect):
    """w ≈ α sign(w), α = mean|w| of the filter (equations 4 and 6), which is not clipped."""

    name = "bwn"
    paper = "Rastegari et al., XNOR-Net, ECCV 2016 (Binary-Weight-Networks)"

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return α sign(w)."""
        del geometry
        return OptimalScaledSign()

    def on_update(self, model: nn.Module) -> None:
        """Leave weights alone."""
        del model
