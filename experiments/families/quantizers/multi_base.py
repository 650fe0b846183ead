"""Several binary convolutions for one real one: ABC-Net and HORQ.

ABC-Net has bases for weights and for activations (Lin, Zhao & Pan, NeurIPS 2017); HORQ binarizes what the first sign
leaves over once more (Li et al., High-Order Residual Quantization, ICCV 2017).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import channel_mean, pooled_head, real_stem, sign
from experiments.families.family import Family, normal

WEIGHT_BASES, ACTIVATION_BASES = 3, 2


class MultiBaseConv2d(nn.Conv2d):
    """Σ α_i β_j conv(A_j, B_i): one binary convolution for every pair of bases."""

    shifts: torch.Tensor

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.register_buffer("shifts", torch.linspace(-1, 1, WEIGHT_BASES))
        self.thresholds = nn.Parameter(torch.linspace(0.0, 1.0, ACTIVATION_BASES))
        self.beta = nn.Parameter(torch.rand(ACTIVATION_BASES) + 0.5)

    def weight_bases(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the bases sign(w - mean + u_i·std), and the α that fit w best (least squares)."""
        centred = self.weight - self.weight.mean()
        bases = torch.stack([torch.sign(centred + shift * self.weight.std()) for shift in self.shifts])
        columns = bases.flatten(1).t()
        alpha = torch.linalg.solve(columns.t() @ columns, columns.t() @ self.weight.flatten())
        return bases, alpha

    def activation_base(self, x: torch.Tensor, index: int) -> torch.Tensor:
        """Return ±1: whether clip(x + v, 0, 1) is at least one half."""
        clipped = torch.clamp(x + self.thresholds[index], 0, 1)
        return 2 * torch.ge(clipped, 0.5).to(x.dtype) - 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sum the convolutions of all pairs."""
        bases, alpha = self.weight_bases()
        terms = [
            alpha[i] * self.beta[j] * functional.conv2d(self.activation_base(x, j), bases[i], None, self.stride, 1)
            for i in range(WEIGHT_BASES)
            for j in range(ACTIVATION_BASES)
        ]
        return torch.stack(terms).sum(dim=0)


class ResidualOrderConv2d(nn.Conv2d):
    """Second-order HORQ: sign of x, and sign of what x lacks to it; each times its mean magnitude in the sample."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve both orders with the same binary weights."""
        weight = sign(self.weight) * channel_mean(self.weight.abs())
        scale = x.abs().mean((1, 2, 3), keepdim=True)
        signs = sign(x)
        residual = x - scale * signs
        residual_scale = residual.abs().mean((1, 2, 3), keepdim=True)
        first = functional.conv2d(signs, weight, None, self.stride, self.padding)
        second = functional.conv2d(sign(residual), weight, None, self.stride, self.padding)
        return scale * first + residual_scale * second


def horq_net() -> nn.Module:
    """Return two layers of two convolutions each."""
    return nn.Sequential(
        *(real_stem(3, 16), nn.Hardtanh()),
        *(ResidualOrderConv2d(16, 24), nn.MaxPool2d(2), nn.BatchNorm2d(24), nn.Hardtanh()),
        *(ResidualOrderConv2d(24, 32, 2), nn.BatchNorm2d(32), nn.ReLU(), pooled_head(32)),
    )


def abc_net() -> nn.Module:
    """Return two layers of six convolutions each."""
    return nn.Sequential(
        *(real_stem(3, 16), nn.ReLU(), nn.BatchNorm2d(16)),
        *(MultiBaseConv2d(16, 24), nn.MaxPool2d(2), nn.BatchNorm2d(24)),
        *(MultiBaseConv2d(24, 32, 2), nn.BatchNorm2d(32), nn.ReLU(), pooled_head(32)),
    )


FAMILIES = (
    Family(
        "ABC-Net",
        "2 * (clip(x + v, 0, 1) >= 0.5) - 1; sign(w - mean + u * std) with α by least squares",
        abc_net,
        normal(1, 3, 12, 12),
        binary_layers=12,
        total_layers=14,
        notes="the least squares multiply signs by signs, but of parameters only",
    ),
    Family(
        "HORQ, second order",
        "Function sign of x and of x - mean|x| * sign(x); α·sign(w)",
        horq_net,
        normal(2, 3, 12, 12),
        binary_layers=4,
        total_layers=6,
    ),
)
