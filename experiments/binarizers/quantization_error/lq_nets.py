"""LQ-Nets at two bits, for comparison: levels are sums of two learned numbers, so that products stay binary."""

from __future__ import annotations

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import sign, with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import BinaryLayer, Unscaled

BITS = 2
#: Half of a standard normal's values lie within so many deviations; where the authors' code starts.
_QUARTILE = 0.6745
#: A fitted basis moves the kept one by a tenth, as in the authors' code; the ridge keeps the system solvable.
_MOMENTUM, _RIDGE = 0.9, 1e-4


def fitted(codes: torch.Tensor, x: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """Return the v that minimise |Bᵀv - x|² for fixed codes B, drawn a little towards the basis that there is.

    Parameters
    ----------
    codes
        ``(rows, 2, n)``.
    x
        ``(rows, n)``.
    basis
        ``(rows, 2)``.
    """
    square = codes @ codes.transpose(1, 2) + _RIDGE * torch.eye(BITS, dtype=x.dtype, device=x.device)
    wanted = codes @ x[..., None] + _RIDGE * basis[..., None]
    solved: torch.Tensor = torch.linalg.solve(square, wanted)
    return solved.squeeze(-1)


def moved(basis: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Return the moving average of a basis, smaller number first, so that the second one is the leading bit's."""
    return (_MOMENTUM * basis + (1 - _MOMENTUM) * new).abs().sort(-1).values


class ActivationCodes(nn.Module):
    """The bits b of the level v_0 b_0 + v_1 b_1 that lies nearest, b ∈ {0, 1}; gradient below the highest level.

    In training the basis moves towards the least squares over the batch.
    """

    basis: torch.Tensor

    def __init__(self) -> None:
        """Start where the levels cover half of a normal distribution."""
        super().__init__()
        step = 2 * _QUARTILE / (2**BITS - 1)
        self.register_buffer("basis", torch.tensor([step, 2 * step]))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return both bits, and the basis ``(2,)`` that they are of; a gradient reaches ``x`` through both."""
        basis = self.basis.clone() if self.training else self.basis
        low, high = basis.unbind()
        with torch.no_grad():
            second = (sign(x - (low + high) / 2) + 1) / 2
            first = (sign(x - high * second - low / 2) + 1) / 2
            if self.training:
                rows = torch.stack([first.flatten(), second.flatten()])[None]
                new = fitted(rows, x.detach().reshape(1, -1), self.basis[None])[0]
                self.basis.copy_(moved(self.basis, new))
        passed = (x <= low + high).to(x.dtype)
        # The level is v·b: a slope of v_i / |v|² for each bit makes that of the level one.
        norm = low * low + high * high
        return with_slope(first, passed * low / norm, x), with_slope(second, passed * high / norm, x), basis


class WeightCodes(nn.Module):
    """The signs c of the level u_0 c_0 + u_1 c_1 of an output channel that lies nearest; straight through."""

    basis: torch.Tensor

    def __init__(self, geometry: Geometry) -> None:
        """Start where the levels cover half of the latent weights."""
        super().__init__()
        deviation = float(torch.tensor(geometry.weight_shape[1:]).prod()) ** -0.5
        step = _QUARTILE * deviation / 2 ** (BITS - 1)
        self.register_buffer("basis", torch.tensor([step, 2 * step]).repeat(geometry.outputs, 1))

    def forward(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``(2, *w.shape)`` signs and ``(2, outputs)`` scales."""
        basis = self.basis.clone() if self.training else self.basis
        wide = [one.reshape(-1, *(1,) * (w.dim() - 1)) for one in basis.unbind(1)]
        with torch.no_grad():
            second = sign(w)
            first = sign(w - wide[1] * second)
            if self.training:
                codes = torch.stack([first.flatten(1), second.flatten(1)], dim=1)
                self.basis.copy_(moved(self.basis, fitted(codes, w.detach().flatten(1), self.basis)))
        norm = wide[0] ** 2 + wide[1] ** 2
        slopes = [(one / norm).expand_as(w) for one in wide]
        return torch.stack([with_slope(first, slopes[0], w), with_slope(second, slopes[1], w)]), basis.t()


class OneRealCode(nn.Module):
    """Real weights as their only code."""

    def forward(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``(1, *w.shape)`` and ``(1, outputs)``."""
        return w[None], torch.ones(1, len(w), dtype=w.dtype, device=w.device)


class LearnedLevelsLayer(BinaryLayer):
    """Σ_ij v_i u_j conv(b_i, c_j): four binary products."""

    @property
    def weight_bases(self) -> int:
        """How many binary tensors one weight becomes."""
        return BITS

    @property
    def real_weights(self) -> nn.Module:
        """The latent weights, as a code."""
        return OneRealCode()

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """Sum the products of all pairs."""
        first, second, levels = self.inputs(x)
        codes = (first, second)
        signs, scales = self.weights(self.weight)
        terms = [
            levels[i] * self.geometry.per_channel(scales[j]) * self.geometry.convolve(codes[i], signs[j])
            for i in range(BITS)
            for j in range(len(scales))
        ]
        return torch.stack(terms).sum(dim=0)


class LqNets(Binarizer):
    """Two learned bits for both operands, of which each product is binary."""

    name = "lq2"
    paper = "Zhang et al., LQ-Nets, ECCV 2018"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the bits of activations."""
        del geometry
        return ActivationCodes()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the signs of weights, and their basis."""
        return WeightCodes(geometry)

    def layer(self, geometry: Geometry, bias: bool) -> nn.Module:
        """Return a layer of all pairs."""
        return LearnedLevelsLayer(geometry, self.inputs(geometry), self.weights(geometry), Unscaled(), bias=bias)

    def nonlinearity(self, channels: int) -> nn.Module:
        """Return ReLU, as activations have no negative level."""
        del channels
        return nn.ReLU()
