"""Plain multilayer perceptrons as people write them for MNIST, each with another spelling of sign.

Without batch norm the accumulators are small even integers, so exact zeros reach the next sign often.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.family import Family, normal


class WhereLinear(nn.Linear):
    """torch.where(x > 0, 1, -1): 0 becomes -1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and multiply."""
        signs = torch.where(x > 0, 1.0, -1.0)
        return functional.linear(signs, torch.where(self.weight > 0, 1.0, -1.0), self.bias)


class AffineComparisonLinear(nn.Linear):
    """(x >= 0) * 2 - 1 on a Boolean, then cast: 0 becomes +1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and multiply."""
        signs = ((x >= 0) * 2 - 1).float()
        return functional.linear(signs, ((self.weight >= 0) * 2 - 1).float())


class DataSignLinear(nn.Linear):
    """Signs of ``data``: 0 stays 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply signs that autograd does not see."""
        return functional.linear(x.data.sign(), self.weight.data.sign(), self.bias)


class WriteSignLinear(nn.Linear):
    """Writes the signs of its input, unless that is the image, and of its weights into their ``data``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Overwrite both operands and multiply."""
        if x.size(1) != PIXELS:
            x.data = x.data.sign()
        self.weight.data = self.weight.data.sign()
        return functional.linear(x, self.weight, self.bias)


PIXELS = 144


def with_batch_norm() -> nn.Module:
    """Return a real first layer and two binary ones with batch norm."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(PIXELS, 48), nn.BatchNorm1d(48), nn.Hardtanh()),
        *(WhereLinear(48, 33), nn.BatchNorm1d(33), nn.Hardtanh(), WhereLinear(33, 10), nn.BatchNorm1d(10)),
    )


def without_batch_norm(linear: type[nn.Linear]) -> nn.Module:
    """Return three layers with nothing between them."""
    return nn.Sequential(nn.Flatten(), linear(PIXELS, 64), linear(64, 48), linear(48, 10))


FAMILIES = (
    Family(
        "MLP, where",
        "torch.where(x > 0, 1.0, -1.0) on both operands",
        with_batch_norm,
        normal(3, 1, 12, 12),
        binary_layers=2,
        total_layers=3,
        notes="sign(0) is -1",
    ),
    Family(
        "MLP, comparison",
        "((x >= 0) * 2 - 1).float() on both operands",
        lambda: without_batch_norm(AffineComparisonLinear),
        normal(2, 1, 12, 12),
        binary_layers=3,
        total_layers=3,
        notes="no bias, no batch norm: a tie is +1",
    ),
    Family(
        "MLP, sign of data",
        "x.data.sign() and weight.data.sign()",
        lambda: without_batch_norm(DataSignLinear),
        normal(2, 1, 12, 12),
        binary_layers=3,
        total_layers=3,
        exports=False,
        notes="a tie is 0",
    ),
    Family(
        "MLP, data writes",
        "x.data = x.data.sign(); weight.data = weight.data.sign()",
        lambda: without_batch_norm(WriteSignLinear),
        normal(2, 1, 12, 12),
        binary_layers=2,
        total_layers=3,
        exports=False,
        notes="the first layer has binary weights but a real image; the parameters hold signs",
    ),
)
