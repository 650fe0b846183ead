"""ReCU: weights standardised, and their tails clamped to revive those that no gradient moves."""

from __future__ import annotations

import math

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import PolynomialSign, StraightSign
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.scales import LearnedScale, centred

FIRST_TAU, LAST_TAU = 0.85, 0.99
#: A Laplace distribution of scale 2, to which weights are brought, has this deviation.
_DEVIATION = 2 * math.sqrt(2)
_LEAST_VARIANCE = 1e-5


def brought_to_laplace(w: torch.Tensor) -> torch.Tensor:
    """Return weights with mean 0 and (unbiased) deviation 2√2 in each output channel, as the authors' code has them.

    A channel of one weight has neither, and stays as it is.
    """
    if w[0].numel() == 1:
        return w
    variance = w.var(dim=tuple(range(1, w.dim())), keepdim=True)
    return centred(w) * _DEVIATION / torch.sqrt(variance + _LEAST_VARIANCE)


class RectifiedClamp(nn.Module):
    """sign(clamp(ŵ, Q(1-τ), Q(τ))) of standardised weights ŵ, straight through behind the clamp.

    The paper takes weights to be Laplace distributed; then Q(τ) = -b ln(2 - 2τ) with b = mean|ŵ| over the layer,
    and Q(1-τ) = -Q(τ).
    """

    tau: float = FIRST_TAU

    def __init__(self) -> None:
        """Take the straight-through sign."""
        super().__init__()
        self.sign = StraightSign()

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """Binarize; only the gradient knows of the clamp."""
        standard = brought_to_laplace(w)
        bound = -standard.abs().mean().detach() * math.log(2 - 2 * self.tau)
        signs: torch.Tensor = self.sign(torch.minimum(torch.maximum(standard, -bound), bound))
        return signs


def tau_of(epoch: int, epochs: int) -> float:
    """Return τ = A e^(epoch / epochs) + B, which rises from 0.85 towards 0.99."""
    a = (LAST_TAU - FIRST_TAU) / (math.e - 1)
    return a * math.exp(epoch / epochs) + FIRST_TAU - a


class ReCU(Binarizer):
    """The rectified clamp unit, and a learned scale per channel."""

    name = "recu"
    paper = "Xu et al., ReCU, ICCV 2021"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign with the polynomial's slope."""
        del geometry
        return PolynomialSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the rectified clamp."""
        del geometry
        return RectifiedClamp()

    def scale(self, geometry: Geometry) -> nn.Module:
        """Return the learned scale."""
        return LearnedScale(geometry)

    def activation(self) -> nn.Module:
        """Return the same sign as for inputs."""
        return PolynomialSign()

    def on_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None:
        """Set τ."""
        for module in model.modules():
            if isinstance(module, RectifiedClamp):
                module.tau = tau_of(epoch, epochs)
