"""IR-Net: balanced, standardised weights with a power of two for a scale; an estimator that sharpens as it trains."""

from __future__ import annotations

import math

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import estimated_sign
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import ScaledSigns
from experiments.binarizers.parts.scales import standardised

FIRST_T, LAST_T = 0.1, 10.0
UPDATED_SHARE = 0.1
_LEAST = 1e-6


def error_decay(x: torch.Tensor, t: float) -> torch.Tensor:
    """Return the derivative of k tanh(t x), k = max(1/t, 1)."""
    return max(1 / t, 1.0) * t * (1 - torch.tanh(t * x) ** 2)


class ErrorDecaySign(nn.Module):
    """sign(x) with the slope of k tanh(t x): k t (1 - tanh²(t x)), k = max(1/t, 1) (EDE)."""

    t: float = FIRST_T

    def slope(self, x: torch.Tensor) -> torch.Tensor:
        """Return the slope."""
        return error_decay(x, self.t)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return estimated_sign(x, self.slope)


class BalancedSign(nn.Module):
    """sign(ŵ) 2^s of weights standardised per filter, s = round(log2 mean|ŵ|) (Libra-PB)."""

    def __init__(self, estimator: nn.Module) -> None:
        """Take the sign, with its estimator."""
        super().__init__()
        self.sign = estimator

    def forward(self, w: torch.Tensor) -> ScaledSigns:
        """Binarize."""
        balanced = standardised(w)
        shift = balanced.detach().abs().flatten(1).mean(1).log2().round()
        return ScaledSigns(self.sign(balanced), torch.exp2(shift))


class DistributionSensitiveSign(ErrorDecaySign):
    """The same, with t held so low that values can still be updated, however they are distributed.

    DIR-Net's two-stage estimator watches how many values keep a slope. The limit here is ours: t is at most 1 / q,
    where a tenth of |x| lies below q, so that this tenth keeps more than 1 - tanh² 1 = 42 % of the largest slope.
    """

    def limited(self, x: torch.Tensor) -> float:
        """Return t for these values."""
        magnitudes = x.detach().abs().flatten()
        quantile = float(magnitudes.kthvalue(max(1, math.ceil(UPDATED_SHARE * len(magnitudes)))).values)
        return min(self.t, 1 / max(quantile, _LEAST))

    def slope(self, x: torch.Tensor) -> torch.Tensor:
        """Return the slope with the limited t."""
        return error_decay(x, self.limited(x))


def t_of(epoch: int, epochs: int) -> float:
    """Return t = T_min 10^(epoch / epochs · log10(T_max / T_min)), from 0.1 towards 10."""
    return FIRST_T * 10 ** (epoch / epochs * math.log10(LAST_T / FIRST_T))


class IrNet(Binarizer):
    """Libra parameter binarization and the error decay estimator, the latter for activations, too."""

    name = "irnet"
    estimator: type[ErrorDecaySign] = ErrorDecaySign
    paper = "Qin et al., Forward and Backward Information Retention for Accurate Binary Neural Networks, CVPR 2020"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign with the estimator."""
        del geometry
        return self.estimator()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the balanced sign."""
        del geometry
        return BalancedSign(self.estimator())

    def activation(self) -> nn.Module:
        """Return the same sign as for inputs."""
        return self.estimator()

    def on_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None:
        """Set t."""
        for module in model.modules():
            if isinstance(module, ErrorDecaySign):
                module.t = t_of(epoch, epochs)


class DirNet(IrNet):
    """IR-Net's forward, which DIR-Net calls information-maximised binarization, with the distribution in the estimator.

    Distilling representations, the third part, is a matter of the recipe.
    """

    name = "dirnet"
    estimator = DistributionSensitiveSign
    paper = "Qin et al., Distribution-sensitive Information Retention for Accurate Binary Neural Network, IJCV 2023"
