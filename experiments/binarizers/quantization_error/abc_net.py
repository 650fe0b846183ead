"""ABC-Net: several binary bases for weights and several for activations; a product for every pair."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import sign, with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import BinaryLayer, Unscaled

BASES = 2


class WeightBases(nn.Module):
    """B_i = sign(w - mean w + u_i std w), u_i = -1 + 2i / (M - 1), straight through."""

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """Return ``(M, *w.shape)``."""
        centre, deviation = w.detach().mean(), w.detach().std()
        shifts = [-1 + 2 * index / (BASES - 1) for index in range(BASES)]
        return torch.stack([with_slope(sign(w - centre + u * deviation), torch.ones_like(w), w) for u in shifts])


def fit(bases: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Return the α ``(M,)`` with the least |w - Σ α_i B_i|², without gradient.

    Of a small layer the bases may be each other's opposites; then it is the smallest of such α.
    """
    columns = bases.detach().flatten(1).t()
    alpha: torch.Tensor = torch.linalg.pinv(columns.t() @ columns, hermitian=True) @ columns.t() @ w.detach().flatten()
    return alpha


class FittedBases(WeightBases):
    """The bases and their α, which together are the weights' module: both depend on weights alone."""

    def forward(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """Return ``(M, *w.shape)`` and ``(M,)``."""
        bases = super().forward(w)
        return bases, fit(bases, w)


class OneRealBase(nn.Module):
    """Real weights as their only base."""

    def forward(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``(1, *w.shape)`` and ``(1,)``."""
        return w[None], torch.ones(1, dtype=w.dtype, device=w.device)


class ActivationBase(nn.Module):
    """±1: whether clip(x + v, 0, 1) is at least 1/2; gradient where it is not clipped."""

    def __init__(self, shift: float) -> None:
        """Start at a shift v, which is learned."""
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        moved = x + self.shift
        return with_slope(sign(moved - 0.5), ((moved >= 0) & (moved <= 1)).to(x.dtype), moved)


class MultiBaseLayer(BinaryLayer):
    """Σ_ij α_i β_j conv(A_j, B_i)."""

    def __init__(self, geometry: Geometry, bias: bool) -> None:
        """Start with equal β."""
        super().__init__(geometry, nn.Identity(), FittedBases(), Unscaled(), bias=bias)
        self.activations = nn.ModuleList(ActivationBase(index / (BASES - 1)) for index in range(BASES))
        self.beta = nn.Parameter(torch.full((BASES,), 1 / BASES))

    @property
    def weight_bases(self) -> int:
        """How many binary tensors one weight becomes."""
        return BASES

    @property
    def real_weights(self) -> nn.Module:
        """The latent weights, as a base."""
        return OneRealBase()

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """Sum the products of all pairs."""
        bases, alpha = self.weights(self.weight)
        signs = [activation(x) for activation in self.activations]
        terms = [
            alpha[i] * self.beta[j] * self.geometry.convolve(signs[j], bases[i])
            for i in range(len(alpha))
            for j in range(BASES)
        ]
        return torch.stack(terms).sum(dim=0)


class AbcNet(Binarizer):
    """Two bases each; the paper's best networks have five."""

    name = "abc"
    paper = "Lin, Zhao & Pan, Towards Accurate Binary Convolutional Neural Network, NeurIPS 2017"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return one base."""
        del geometry
        return ActivationBase(0.5)

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the bases."""
        del geometry
        return FittedBases()

    def layer(self, geometry: Geometry, bias: bool) -> nn.Module:
        """Return a layer of all pairs."""
        return MultiBaseLayer(geometry, bias)
