"""Real factors in front of a binary layer: behind it they are the same wherever they are constant along its sum."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from experiments.families.edge_cases.estimators import activated
from experiments.families.family import Family, normal

Scaling = Callable[[torch.Tensor], torch.Tensor]


def row(x: torch.Tensor) -> torch.Tensor:
    """Return one positive number a token."""
    return x.abs().mean(-1, keepdim=True)


class ScaledRows(nn.Module):
    """A binary linear layer of signs with a factor a row."""

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.scaling, self.weight = scaling, nn.Parameter(torch.randn(24, 48))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale and multiply."""
        return functional.linear(self.scaling(x), self.weight.sign())


class ScaledScores(nn.Module):
    """Queries and keys of signs, each with a factor a token."""

    def __init__(self, queries: Scaling, keys: Scaling) -> None:
        super().__init__()
        self.queries, self.keys = queries, keys
        self.query, self.key = (nn.Parameter(torch.randn(48, 48)) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores of four heads."""
        query, key = self.queries(x @ self.query), self.keys(x @ self.key)
        query, key = (each.view(*each.shape[:-1], 4, 12).transpose(1, 2) for each in (query, key))
        scores: torch.Tensor = query @ key.transpose(-1, -2)
        return scores


def rows(name: str, idiom: str, scaling: Scaling) -> Family:
    """Return a family of one linear layer."""
    return Family(name, idiom, lambda: ScaledRows(scaling), normal(2, 9, 48), binary_layers=1, total_layers=1)


FAMILIES = (
    rows("Scale: divided, a token", "x.sign() / b", lambda x: x.sign() / row(x)),
    rows("Scale: repeated, a token", "b.repeat(1, 1, K) * s", lambda x: row(x).repeat(1, 1, 48) * x.sign()),
    rows(
        "Scale: einsum, a token",
        "einsum('btk,bt->btk', s, b)",
        lambda x: torch.einsum("btk,bt->btk", x.sign(), row(x)[..., 0]),
    ),
    rows("Scale: selected, a token", "where(x > 0, b, -b)", lambda x: torch.where(x > 0, row(x), -row(x))),
    rows("Scale: factored out, a token", "2 * b * (x > 0) - b", lambda x: 2 * row(x) * (x > 0) - row(x)),
    rows(
        "Scale: in the trick, a token",
        "(b * s).detach() + x - x.detach()",
        lambda x: (row(x) * x.sign()).detach() + x - x.detach(),
    ),
    Family(
        "Scale: a token on both operands",
        "(q.sign() * b) @ (k.sign() / d).transpose, four heads",
        lambda: ScaledScores(lambda q: q.sign() * row(q), lambda k: k.sign() / row(k)),
        normal(1, 9, 48),
        binary_layers=1,
        total_layers=3,
    ),
    activated(
        "Look-alike: a factor a channel of the input",
        "s * x.abs().mean((0, 2, 3))",
        lambda x: x.sign() * x.abs().mean((0, 2, 3), keepdim=True),
        binary=False,
    ),
)
