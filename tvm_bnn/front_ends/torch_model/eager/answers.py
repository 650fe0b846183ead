"""The tensors that a model returns, in whatever structure, and whether two of them agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

#: Of the largest magnitude, as the parity check has it.
TOLERANCE = 1e-4

Tensors = Sequence[torch.Tensor]


def tensors_of(result: Any) -> list[torch.Tensor]:
    """Return copies of the tensors in a result, in order: what is returned may be an input, or a part of the model."""
    return [leaf.detach().clone() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]


def agree(one: Tensors, other: Tensors, tolerance: float = TOLERANCE) -> bool:
    """Tell whether two results are equal up to rounding; NaN agrees with NaN, and infinity with itself."""
    if [value.shape for value in one] != [value.shape for value in other]:
        return False
    for a, b in zip(one, other, strict=True):
        a, b = (value.double() if not value.is_complex() else value for value in (a, b))  # noqa: PLW2901
        finite = torch.isfinite(a) & torch.isfinite(b)
        if not torch.equal(a[~finite].nan_to_num(), b[~finite].nan_to_num()):
            return False
        largest = float(a[finite].abs().max()) if finite.any() else 0.0
        if bool(((a - b)[finite].abs() > tolerance * largest).any()):
            return False
    return True
