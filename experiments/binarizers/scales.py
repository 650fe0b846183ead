"""Scales that several methods share."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.estimators import inside, sign, with_slope
from experiments.binarizers.geometry import Geometry


def row_mean(w: torch.Tensor) -> torch.Tensor:
    """Return the mean over everything but the first axis, kept as axes of size 1."""
    return w.mean(dim=tuple(range(1, w.dim())), keepdim=True)


def centred(w: torch.Tensor) -> torch.Tensor:
    """Return weights minus the mean of their output channel."""
    return w - row_mean(w)


def standardised(w: torch.Tensor) -> torch.Tensor:
    """Return weights with mean 0 and (unbiased) deviation 1 in each output channel."""
    deviation = w.std(dim=tuple(range(1, w.dim())), keepdim=True)
    return centred(w) / deviation


class RowScaledSign(nn.Module):
    """mean|w| per output channel times sign(w); the slope is that scale inside [-1, 1].

    The scale is XNOR-Net's α (Rastegari et al., ECCV 2016, eq. 6). With the scale a constant and the sign's derivative
    that of clamp, the chain rule gives this slope.
    """

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        alpha = row_mean(w.abs())
        return with_slope(alpha * sign(w), alpha * inside(w), w)


class LearnedScale(nn.Module):
    """A learned factor for each output channel, 1 at first."""

    def __init__(self, geometry: Geometry) -> None:
        """Start as the identity."""
        super().__init__()
        self.geometry = geometry
        self.alpha = nn.Parameter(torch.ones(geometry.outputs))

    def forward(self, product: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Scale the product."""
        del x
        return product * self.geometry.per_channel(self.alpha)
