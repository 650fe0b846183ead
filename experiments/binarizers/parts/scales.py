"""Scales that several methods share."""

from __future__ import annotations

import math

import torch
from torch import nn

from experiments.binarizers.parts.estimators import estimated_sign, inside
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import ScaledSigns


def row_mean(w: torch.Tensor) -> torch.Tensor:
    """Return the mean over everything but the first axis, kept as axes of size 1."""
    return w.mean(dim=tuple(range(1, w.dim())), keepdim=True)


def centred(w: torch.Tensor) -> torch.Tensor:
    """Return weights minus the mean of their output channel."""
    return w - row_mean(w)


def standardised(w: torch.Tensor) -> torch.Tensor:
    """Return weights with mean 0 and (unbiased) deviation 1 in each output channel.

    A channel of one weight has neither, and stays as it is; one of equal weights becomes zeros.
    """
    if w[0].numel() == 1:
        return w
    deviation = w.std(dim=tuple(range(1, w.dim())), keepdim=True)
    return centred(w) / deviation.clamp_min(torch.finfo(w.dtype).tiny)


def channel_scale(w: torch.Tensor) -> torch.Tensor:
    """Return α ``(outputs,)``: mean|w| per output channel (Rastegari et al., equation 6), without gradient."""
    return w.detach().abs().flatten(1).mean(1)


class RowScaledSign(nn.Module):
    """α sign(w) with α = mean|w| per output channel; the slope of the sign is that of clamp.

    With the scale taken for a constant, as all who do it so do, the gradient is α 1_{|w| <= 1}.
    """

    def forward(self, w: torch.Tensor) -> ScaledSigns:
        """Binarize."""
        return ScaledSigns(estimated_sign(w, inside), channel_scale(w))


def unit_scale(geometry: Geometry) -> torch.Tensor:
    """Return 1 / sqrt(fan-in) for each output: sums of as many random signs then have variance 1.

    Without norms between layers, sums that are not scaled lie outside every estimator's window.
    """
    return torch.full((geometry.outputs,), math.prod(geometry.weight_shape[1:]) ** -0.5)


class LearnedScale(nn.Module):
    """A learned factor for each output channel."""

    def __init__(self, geometry: Geometry) -> None:
        """Start at `unit_scale`."""
        super().__init__()
        self.geometry = geometry
        self.alpha = nn.Parameter(unit_scale(geometry))

    def forward(self, product: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Scale the product."""
        del x
        return product * self.geometry.per_channel(self.alpha)
