"""LAB: the scale that minimises the loss to second order, with the curvature that Adam would see."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import ClippedSign, sign, with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import ScaledSigns, clip_latent_weights

_DECAY, _LEAST = 0.999, 1e-8


class LossAwareSign(nn.Module):
    """α sign(w) with α = |d w|_1 / |d|_1 over the layer (equation 8), and the gradient of the identity.

    d is the diagonal of the Hessian, taken from the second moment v of the gradient of the binarized weights as Adam
    keeps it (Algorithm 1, steps 19 to 22), without learning rate and bias correction, which cancel, as in the authors'
    code: d = sqrt(v) + 1e-8; uniform before the first gradient.
    """

    moment: torch.Tensor

    def __init__(self, geometry: Geometry) -> None:
        """Start with curvature that is the same everywhere."""
        super().__init__()
        self.register_buffer("moment", torch.zeros(geometry.weight_shape))

    def forward(self, w: torch.Tensor) -> ScaledSigns:
        """Binarize; in training, note the gradient when it comes."""
        curvature = self.moment.sqrt() + _LEAST
        scale = (curvature * w.detach().abs()).sum() / curvature.sum()
        signs = with_slope(sign(w), torch.ones_like(w) / scale, w)
        if self.training and signs.requires_grad:
            signs.register_hook(lambda gradient: self._note(gradient / scale))  # type: ignore[no-untyped-call]
        return ScaledSigns(signs, scale)

    def _note(self, gradient: torch.Tensor) -> None:
        self.moment.mul_(_DECAY).addcmul_(gradient, gradient, value=1 - _DECAY)


class Lab(Binarizer):
    """Loss-aware weights, signs of activations."""

    name = "lab"
    paper = "Hou, Yao & Kwok, Loss-aware Binarization of Deep Networks, ICLR 2017"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign."""
        del geometry
        return ClippedSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the loss-aware sign."""
        return LossAwareSign(geometry)

    def on_update(self, model: nn.Module) -> None:
        """Clip, as the authors' code does."""
        clip_latent_weights(model)
