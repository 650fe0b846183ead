"""IR-Net: balanced, standardised weights with a power of two for a scale; an estimator that sharpens as it trains."""

from __future__ import annotations

import math

import torch
from torch import nn

from experiments.binarizers.binarizer import Binarizer
from experiments.binarizers.estimators import sign, with_slope
from experiments.binarizers.geometry import Geometry
from experiments.binarizers.layer import ScaledSigns
from experiments.binarizers.scales import standardised

FIRST_T, LAST_T = 0.1, 10.0


class ErrorDecaySign(nn.Module):
    """sign(x) with the slope of k tanh(t x): k t (1 - tanh²(t x)), k = max(1/t, 1) (EDE, eq. 11 to 13)."""

    t: float = FIRST_T

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        slope = max(1 / self.t, 1.0) * self.t * (1 - torch.tanh(self.t * x) ** 2)
        return with_slope(sign(x), slope, x)


class BalancedSign(nn.Module):
    """sign(ŵ) 2^s of weights standardised per filter, s = round(log2 mean|ŵ|) (Libra-PB, eq. 6 to 9)."""

    def __init__(self) -> None:
        """Take the estimator."""
        super().__init__()
        self.sign = ErrorDecaySign()

    def forward(self, w: torch.Tensor) -> ScaledSigns:
        """Binarize."""
        balanced = standardised(w)
        shift = balanced.detach().abs().flatten(1).mean(1).log2().round()
        return ScaledSigns(self.sign(balanced), torch.exp2(shift))


def t_of(epoch: int, epochs: int) -> float:
    """Return t = T_min 10^(epoch / epochs · log10(T_max / T_min)), from 0.1 towards 10 (eq. 12)."""
    return FIRST_T * 10 ** (epoch / epochs * math.log10(LAST_T / FIRST_T))


class IrNet(Binarizer):
    """Libra parameter binarization and the error decay estimator, the latter for activations, too."""

    name = "irnet"
    paper = "Qin et al., Forward and Backward Information Retention for Accurate Binary Neural Networks, CVPR 2020"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign with the estimator."""
        del geometry
        return ErrorDecaySign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the balanced sign."""
        del geometry
        return BalancedSign()

    def activation(self) -> nn.Module:
        """Return the same sign as for inputs."""
        return ErrorDecaySign()

    def on_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None:
        """Set t."""
        for module in model.modules():
            if isinstance(module, ErrorDecaySign):
                module.t = t_of(epoch, epochs)
