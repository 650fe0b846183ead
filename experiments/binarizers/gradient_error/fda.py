"""FDA: the gradient of sign in the frequency domain, from the first terms of its Fourier series."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import sign, with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import ScaledSigns, TrainingOnly
from experiments.binarizers.parts.scales import channel_scale

FREQUENCY = 1.0
FIRST_TERMS, LAST_TERMS = 9, 18
FIRST_SHARE = 0.1
_NARROWING = 64
_NEAR_ZERO = 1e-3


def series_slope(x: torch.Tensor, terms: int) -> torch.Tensor:
    """Return the derivative of the truncated series, 4ω/π Σ_{i=0}^{n} cos((2i+1)ωx) (equation 10).

    The sum of cosines is sin(2(n+1)u) / (2 sin u) in closed form, u = ωx; where sin u vanishes it is ±(n+1).
    """
    u = FREQUENCY * x
    count = terms + 1
    sine = torch.sin(u)
    flat = sine.abs() < _NEAR_ZERO
    closed = torch.sin(2 * count * u) / (2 * torch.where(flat, 1.0, sine))
    return 4 * FREQUENCY / math.pi * torch.where(flat, count * torch.cos(u), closed)


class NoiseAdaption(TrainingOnly):
    """relu(x W_1) W_2 + 0.1 sin x (equation 13, and section 3.2): what the truncated series lacks."""

    def __init__(self, width: int) -> None:
        """Narrow to a 64th, at least one."""
        super().__init__()
        hidden = max(1, width // _NARROWING)
        self.inner, self.outer = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, width, bias=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Correct ``(..., width)``."""
        corrected: torch.Tensor = self.outer(functional.relu(self.inner(rows)))
        return corrected + 0.1 * torch.sin(rows)


class FourierSign(nn.Module):
    """sign(x) + share · noise(x) in training (equation 14); in evaluation, where the share is 0, the sign alone.

    The paper says that the share falls to 0, and not how: `share_of` is BiBench's.
    """

    terms: int = FIRST_TERMS
    share: float = FIRST_SHARE

    def __init__(self, width: int, axis: int) -> None:
        """Take the axis along which the noise module works, and its length."""
        super().__init__()
        self.axis = axis
        self.noise = NoiseAdaption(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        signs = with_slope(sign(x), series_slope(x, self.terms), x)
        if not self.training or self.share == 0:
            return signs
        correction: torch.Tensor = self.noise(x.movedim(self.axis, -1)).movedim(-1, self.axis)
        return signs + self.share * correction


class FourierWeight(nn.Module):
    """The same for weights, whose noise module takes a whole filter; times mean|w| per output channel."""

    def __init__(self, geometry: Geometry) -> None:
        """Take the layer's shape."""
        super().__init__()
        self.sign = FourierSign(math.prod(geometry.weight_shape[1:]), -1)

    def forward(self, w: torch.Tensor) -> ScaledSigns:
        """Binarize."""
        return ScaledSigns(self.sign(w.flatten(1)).view_as(w), channel_scale(w))


class PlainFourierSign(nn.Module):
    """sign(x) with the gradient of the first series."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return with_slope(sign(x), series_slope(x, FIRST_TERMS), x)


def terms_of(epoch: int, epochs: int) -> int:
    """Return n, from 9 towards 18 (section 3.2, setting 3)."""
    return FIRST_TERMS + int(epoch / epochs * (LAST_TERMS - FIRST_TERMS))


def share_of(epoch: int, epochs: int) -> float:
    """Return 0.05 (1 + cos(π (epoch + 1) / epochs)): from 0.1 to 0, so that the last epoch is binary."""
    return 0.05 * (1 + math.cos(math.pi * (epoch + 1) / epochs))


class Fda(Binarizer):
    """Frequency domain approximation of both signs, with noise adaptation."""

    name = "fda"
    paper = "Xu et al., Learning Frequency Domain Approximation for Binary Neural Networks, NeurIPS 2021"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign of activations; channels are corrected together."""
        return FourierSign(geometry.inputs, -1 - geometry.axes)

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the sign of weights."""
        return FourierWeight(geometry)

    def activation(self) -> nn.Module:
        """Return the sign without noise adaptation."""
        return PlainFourierSign()

    def on_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None:
        """Set the number of terms and the share of the noise."""
        for module in model.modules():
            if isinstance(module, FourierSign):
                module.terms, module.share = terms_of(epoch, epochs), share_of(epoch, epochs)
