"""XNOR-Net: α sign(w), and the product times the map K of the input's local magnitude."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import ClippedSign, inside, sign, with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import ScaledSigns
from experiments.binarizers.parts.scales import channel_scale


class OptimalScaledSign(nn.Module):
    """α sign(w), α = mean|w| of the filter (equations 4 and 6), with the gradient 1/n + α 1_{|w| <= 1}.

    As α is multiplied behind the product, the sign's own slope is that over α.
    """

    def forward(self, w: torch.Tensor) -> ScaledSigns:
        """Binarize ``(outputs, ...)`` weights; n counts the weights of a filter."""
        alpha = channel_scale(w)
        count = math.prod(w.shape[1:])
        slope = inside(w) + 1 / (count * alpha.view(-1, *(1,) * (w.dim() - 1)))
        return ScaledSigns(with_slope(sign(w), slope, w), alpha)


class MagnitudeMap(nn.Module):
    """K: the mean of |x| over the channels, and over the window by a box filter.

    With groups, each has its own K. A linear layer's window is its whole row.
    """

    box: torch.Tensor

    def __init__(self, geometry: Geometry) -> None:
        """Lay out the box filter, one a group."""
        super().__init__()
        self.geometry = geometry
        box = torch.full((geometry.groups, 1, *geometry.kernel), 1 / math.prod(geometry.kernel))
        self.register_buffer("box", box, persistent=False)

    def forward(self, product: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Scale the product by K."""
        shape = self.geometry
        if shape.kind == "linear":
            return product * x.abs().mean(-1, keepdim=True)
        groups = x.abs().reshape(len(x), shape.groups, -1, *x.shape[2:]).mean(2)
        convolution = functional.conv2d if shape.kind == "conv2d" else functional.conv1d
        k = convolution(groups, self.box, None, shape.stride, shape.padding, shape.dilation, shape.groups)
        return product * (k if shape.groups == 1 else k.repeat_interleave(shape.outputs // shape.groups, dim=1))


class XnorNet(Binarizer):
    """x * w = (sign(x) * sign(w)) K α (equation 11)."""

    name = "xnor"
    paper = "Rastegari et al., XNOR-Net, ECCV 2016"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign; its magnitudes come back with K."""
        del geometry
        return ClippedSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return α sign(w)."""
        del geometry
        return OptimalScaledSign()

    def scale(self, geometry: Geometry) -> nn.Module:
        """Return K."""
        return MagnitudeMap(geometry)
