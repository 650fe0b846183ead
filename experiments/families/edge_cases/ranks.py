"""Products whose weight is no matrix: a matrix for each head or expert, on the left, expanded, or read by a vector.

And norms with the sample's own statistics, which stand beside them in such models.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import ScaledSignConv2d, Sign, pooled_head, real_stem, scaled_sign, sign
from experiments.families.family import Family, normal

Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Spelled(nn.Module):
    """A product of signs, as one line of code spells it, with a weight of any rank."""

    def __init__(self, product: Product, *shape: int) -> None:
        super().__init__()
        self.product = product
        self.weight = nn.Parameter(torch.randn(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands."""
        return self.product(sign(x), sign(self.weight))


class PermutedImage(nn.Module):
    """Linear layers on an image with its channels moved last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = real_stem(3, 32), nn.LayerNorm(48)
        self.fc1, self.fc2 = nn.Parameter(torch.randn(48, 32)), nn.Parameter(torch.randn(10, 48))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply two layers to each pixel."""
        x = functional.linear(sign(self.stem(x).permute(0, 2, 3, 1)), scaled_sign(self.fc1))
        return functional.linear(sign(self.norm(x)), scaled_sign(self.fc2))


class Heads(nn.Module):
    """A matrix for each head, twice, with a bias of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.split = nn.Linear(24, 4 * 32)
        self.first, self.second = nn.Parameter(torch.randn(1, 4, 32, 16)), nn.Parameter(torch.randn(4, 16, 9))
        self.bias = nn.Parameter(torch.randn(4, 1, 16) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take ``(N, T, 24)`` apart into heads."""
        count, steps, _ = x.shape
        heads = self.split(x).view(count, steps, 4, 32).transpose(1, 2)
        scale = self.first.abs().mean(-2, keepdim=True)
        mixed = sign(heads) @ (sign(self.first) * scale) + self.bias
        return sign(mixed) @ sign(self.second)


def pictures(norm: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Return a network of two binary layers, each behind such a norm of 32 channels."""

    def network() -> nn.Module:
        blocks = [nn.Sequential(norm(), Sign(), ScaledSignConv2d(32, 32, 3, 1, 1, bias=False)) for _ in range(2)]
        return nn.Sequential(real_stem(3, 32), *blocks, norm(), pooled_head(32))

    return network


FAMILIES = (
    Family(
        "Ranks: linear of a permuted image",
        "F.linear(x.permute(0, 2, 3, 1).sign(), w.sign())",
        PermutedImage,
        normal(2, 3, 5, 7),
        binary_layers=2,
        total_layers=3,
    ),
    Family(
        "Ranks: a matrix a head",
        "x.sign() @ w.sign() with w (1, heads, K, N); bias a head; w (heads, K, N)",
        Heads,
        normal(2, 7, 24),
        binary_layers=2,
        total_layers=3,
    ),
    Family(
        "Ranks: experts by einsum",
        "einsum('bek,eko->beo', x.sign(), w.sign())",
        lambda: Spelled(lambda x, w: torch.einsum("bek,eko->beo", x, w), 4, 33, 10),
        normal(3, 4, 33),
        binary_layers=1,
        total_layers=1,
    ),
    Family(
        "Ranks: tokens mixed from the left",
        "w.sign() @ x.sign()",
        lambda: nn.Sequential(nn.Linear(12, 24), Spelled(lambda x, w: w @ x, 16, 40)),
        normal(2, 40, 12),
        binary_layers=1,
        total_layers=2,
    ),
    Family(
        "Ranks: weight of rank three",
        "bmm(x.sign(), w.sign().expand(N, -1, -1)) with w (1, K, N)",
        lambda: Spelled(lambda x, w: torch.bmm(x, w.expand(x.shape[0], -1, -1)), 1, 32, 16),
        normal(3, 9, 32),
        binary_layers=1,
        total_layers=1,
    ),
    Family(
        "Norms: instance norm",
        "nn.InstanceNorm2d(affine=True) before each sign",
        pictures(lambda: nn.InstanceNorm2d(32, affine=True)),
        normal(2, 3, 9, 11),
        binary_layers=2,
        total_layers=4,
    ),
    Family(
        "Norms: batch norm without statistics",
        "nn.BatchNorm2d(track_running_stats=False) before each sign",
        pictures(lambda: nn.BatchNorm2d(32, track_running_stats=False)),
        normal(2, 3, 9, 11),
        binary_layers=2,
        total_layers=4,
    ),
)
