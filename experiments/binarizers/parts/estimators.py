"""Signs with the gradients that stand in for theirs, each as a module, and the operators behind them.

sign(0) is +1 throughout, as the papers have it (PyTorch's is 0): a bit has no third value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def sign(x: torch.Tensor) -> torch.Tensor:
    """Return +1 where ``x >= 0``, else -1."""
    # Not where(x >= 0, 1.0, -1.0): an exported graph would keep its float32, and could not be run in float64.
    one = torch.ones_like(x)
    return torch.where(x >= 0, one, -one)


class _Estimated(torch.autograd.Function):
    """The sign, and a slope that is computed when it is asked for."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, slope: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        # Five times as fast as where(), which is not vectorised; training alone gets here.
        return (x >= 0).to(x.dtype).mul_(2).sub_(1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return ctx.slope(x).mul_(gradient), None


def estimated_sign(x: torch.Tensor, slope: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Return sign(x), whose derivative is, elementwise, ``slope(x)``: a new tensor each time."""
    if not (torch.is_grad_enabled() and x.requires_grad):
        return sign(x)
    signs: torch.Tensor = _Estimated.apply(x, slope)  # type: ignore[no-untyped-call]
    return signs


class _Replaced(torch.autograd.Function):
    """Any value, any gradient: forward returns the first operand, backward multiplies by the second."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, slope: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(slope)
        del x
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, None, torch.Tensor]:
        (slope,) = ctx.saved_tensors
        return None, None, gradient * slope


def with_slope(value: torch.Tensor, slope: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return ``value`` as a function of ``x`` whose derivative is, elementwise, ``slope``.

    Parameters
    ----------
    value, slope, x
        The same shape; no gradient flows through the first two.
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return value
    replaced: torch.Tensor = _Replaced.apply(value.detach(), slope.detach(), x)  # type: ignore[no-untyped-call]
    return replaced


def inside(x: torch.Tensor, bound: float = 1.0) -> torch.Tensor:
    """Return 1 where ``|x| <= bound``, else 0: the gradient of clamp (Hubara et al., NeurIPS 2016)."""
    return (x.abs() <= bound).to(x.dtype)


def triangle(x: torch.Tensor) -> torch.Tensor:
    """Return 2 - 2|x| where |x| < 1, else 0: the slope of Bi-Real's piecewise polynomial (Liu et al., ECCV 2018)."""
    return x.abs().mul_(-2).add_(2).clamp_min_(0)


class ClippedSign(nn.Module):
    """sign(x) with the gradient of clamp to [-1, 1] (Hubara et al., NeurIPS 2016)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return estimated_sign(x, inside)


class StraightSign(nn.Module):
    """sign(x) with the gradient of the identity."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return estimated_sign(x, torch.ones_like)


class PolynomialSign(nn.Module):
    """sign(x) with the gradient of the piecewise polynomial (Liu et al., Bi-Real Net, ECCV 2018)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        return estimated_sign(x, triangle)
