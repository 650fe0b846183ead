"""Brevitas style: comparisons instead of sign, constant scales, valid convolutions (FINN's CNV and FC networks).

CNV is Umuroglu et al., FINN, FPGA 2017. The image arrives as 8-bit fixed point; pooling comes after the activation.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.family import Family, normal


def compared(x: torch.Tensor) -> torch.Tensor:
    """Return +1 where ``x`` is at least 0, else -1, by comparison, product and difference."""
    return torch.ge(x, 0.0).type_as(x) * 2.0 - 1.0


class BinaryIdentity(nn.Module):
    """±1 times a constant scale."""

    scale: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return compared(x / self.scale) * self.scale


class FixedPointIdentity(nn.Module):
    """Rounds to eight bits, seven of them behind the point."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Quantize to [-1, 1)."""
        return torch.clamp(torch.round(x * 128.0), -128.0, 127.0) / 128.0


class ConstantScaleConv2d(nn.Conv2d):
    """Weights ±0.1; no padding, no bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize the weights and convolve."""
        return functional.conv2d(x, compared(self.weight) * 0.1)


class ConstantScaleLinear(nn.Linear):
    """Weights ±0.1; no bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize the weights and multiply."""
        return functional.linear(x, compared(self.weight) * 0.1)


class TensorNorm(nn.Module):
    """Batch norm of the whole output with one mean and one scale, as these nets end."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the logits together."""
        normalised: torch.Tensor = self.norm(x.unsqueeze(1)).squeeze(1)
        return normalised


def conv(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """Return convolution, batch norm, activation."""
    return ConstantScaleConv2d(inputs, outputs), nn.BatchNorm2d(outputs, eps=1e-4), BinaryIdentity()


def linear(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """Return linear, batch norm, activation."""
    return ConstantScaleLinear(inputs, outputs), nn.BatchNorm1d(outputs, eps=1e-4), BinaryIdentity()


def cnv() -> nn.Module:
    """Return six valid convolutions and three linears."""
    return nn.Sequential(
        *(FixedPointIdentity(), *conv(3, 16), *conv(16, 16), nn.MaxPool2d(2)),
        *(*conv(16, 24), *conv(24, 24), nn.MaxPool2d(2)),
        *(*conv(24, 32), *conv(32, 32), nn.Flatten()),
        *(*linear(32, 48), *linear(48, 48), ConstantScaleLinear(48, 10), TensorNorm()),
    )


def fully_connected() -> nn.Module:
    """Return three linears on a binarized image."""
    return nn.Sequential(
        *(nn.Flatten(), BinaryIdentity(), nn.Dropout(0.2)),
        *(
            *linear(100, 64),
            nn.Dropout(0.2),
            *linear(64, 64),
            nn.Dropout(0.2),
            ConstantScaleLinear(64, 10),
            TensorNorm(),
        ),
    )


FAMILIES = (
    Family(
        "Brevitas CNV",
        "(x >= 0).type_as(x) * 2 - 1, times a constant scale, on both operands; no padding",
        cnv,
        normal(1, 3, 32, 32),
        binary_layers=8,
        total_layers=9,
        notes="the first layer reads eight-bit pixels; sign(0) is +1",
    ),
    Family(
        "Brevitas, fully connected",
        "(x >= 0).type_as(x) * 2 - 1, times a constant scale, on both operands",
        fully_connected,
        normal(2, 1, 10, 10),
        binary_layers=3,
        total_layers=3,
        notes="the image is binarized too",
    ),
)
