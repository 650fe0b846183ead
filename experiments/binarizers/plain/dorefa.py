"""DoReFa-Net at one bit: activations of {0, 1}, signs of weights times one scale a layer."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import sign, with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import ScaledSigns


class QuantizedUnit(nn.Module):
    """round(x (2^k - 1)) / (2^k - 1) of x clipped to [0, 1]; straight through inside.

    At one bit: 1 where x > 1/2, else 0.
    """

    def __init__(self, bits: int) -> None:
        """Take the number of bits."""
        super().__init__()
        self.steps = 2**bits - 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Quantize."""
        levels = torch.round(x.clamp(0, 1) * self.steps) / self.steps
        return with_slope(levels, ((x >= 0) & (x <= 1)).to(x.dtype), x)


class LayerScaledSign(nn.Module):
    """E sign(w), E = mean|w| over the whole layer, with the gradient of the identity (equation 7).

    As E is multiplied behind the product, the sign's own slope is 1 / E.
    """

    def forward(self, w: torch.Tensor) -> ScaledSigns:
        """Binarize."""
        scale = w.detach().abs().mean()
        return ScaledSigns(with_slope(sign(w), torch.ones_like(w) / scale, w), scale)


class DoReFa(Binarizer):
    """W1A1 of the paper."""

    name = "dorefa"
    paper = "Zhou et al., DoReFa-Net, arXiv 1606.06160, 2016"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return one bit of the unit interval."""
        del geometry
        return QuantizedUnit(1)

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return E(|w|) sign(w)."""
        del geometry
        return LayerScaledSign()
