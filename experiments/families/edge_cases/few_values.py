"""Few values by other routes than the sign: rounding before clamping, remainders, casts, means, look-ups."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.edge_cases.estimators import activated
from experiments.families.family import Family, normal


class RoundedShares(nn.Module):
    """Attention whose shares are rounded to {0, a}, as BiT (Liu et al., NeurIPS 2022) and BinaryViT have it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Parameter(torch.randn(width, width)) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return shares times values."""
        query, key, value = ((x @ weight).sign() for weight in (self.query, self.key, self.value))
        share = functional.softmax(query @ key.transpose(-1, -2) / 8, -1)
        return (share / 0.03).round().clamp(0, 1) * 0.03 @ value


FAMILIES = (
    activated(
        "Few values: rounded, then clamped",
        "(x / a).round().clamp(0, 1) * a",
        lambda x: (x / 0.5).round().clamp(0, 1) * 0.5,
    ),
    activated("Few values: floor", "(x / a).floor().clamp(-1, 0)", lambda x: (x / 0.5).floor().clamp(-1, 0)),
    activated(
        "Few values: integers",
        "x.floor().int().clamp(0, 1).float()",
        lambda x: (2 * x).floor().int().clamp(0, 1).float(),
    ),
    activated("Few values: remainder", "x.floor() % 2", lambda x: (2 * x).floor() % 2),
    activated("Few values: rounded sigmoid", "x.sigmoid().round()", lambda x: x.sigmoid().round()),
    activated("Few values: rounded, then its sign", "x.round().sign()", lambda x: x.round().sign()),
    activated(
        "Few values: mean of signs",
        "avg_pool2d(x.sign(), 2, 1).sign()",
        lambda x: functional.avg_pool2d(x.sign(), 2, 1).sign(),
    ),
    activated(
        "Few values: comparison of tensors",
        "(x > x.mean(1)) * 2 - 1",
        lambda x: (x > x.mean(1, keepdim=True)).float() * 2 - 1,
    ),
    activated(
        "Few values: masked_fill",
        "zeros_like(x).masked_fill(x >= 0, 1)",
        lambda x: torch.zeros_like(x).masked_fill(x >= 0, 1),
    ),
    activated(
        "Few values: by the largest",
        "(3 * x / x.abs().max()).round()",
        lambda x: (3 * x / x.abs().max()).round(),
        planes=True,
    ),
    Family(
        "Few values: rounded attention shares",
        "(softmax / a).round().clamp(0, 1) * a @ v",
        lambda: RoundedShares(64),
        normal(1, 16, 64),
        binary_layers=2,
        total_layers=5,
    ),
)
