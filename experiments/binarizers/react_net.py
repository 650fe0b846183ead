"""ReActNet: signs about learned thresholds (RSign), shifted PReLU (RPReLU)."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.binarizer import Binarizer
from experiments.binarizers.estimators import PolynomialSign
from experiments.binarizers.geometry import Geometry
from experiments.binarizers.scales import RowScaledSign


class RSign(PolynomialSign):
    """+1 above a learned threshold of the channel, else -1 (eq. 1); the slope is the polynomial's (section 4.2).

    The threshold's gradient is minus the input's, summed over the channel.
    """

    def __init__(self, geometry: Geometry) -> None:
        """Start at thresholds of zero."""
        super().__init__()
        self.geometry = geometry
        self.threshold = nn.Parameter(torch.zeros(geometry.inputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return super().forward(x - self.geometry.per_channel(self.threshold))


class RPReLU(nn.Module):
    """x - γ + ζ above γ, β(x - γ) + ζ below, all three learned per channel, on axis 1 (eq. 4)."""

    def __init__(self, channels: int) -> None:
        """Start as PReLU does."""
        super().__init__()
        self.before, self.after = (nn.Parameter(torch.zeros(channels)) for _ in range(2))
        self.slope = nn.PReLU(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shift, bend, shift."""
        shape = (-1, *(1,) * (x.dim() - 2))
        bent: torch.Tensor = self.slope(x - self.before.view(shape))
        return bent + self.after.view(shape)


class ReActNet(Binarizer):
    """RSign, α sign(w), and RPReLU between layers."""

    name = "react"
    paper = "Liu et al., ReActNet, ECCV 2020"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return RSign."""
        return RSign(geometry)

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return α sign(w)."""
        del geometry
        return RowScaledSign()

    def activation(self) -> nn.Module:
        """Return RSign without thresholds."""
        return PolynomialSign()

    def nonlinearity(self, channels: int) -> nn.Module:
        """Return RPReLU."""
        return RPReLU(channels)
