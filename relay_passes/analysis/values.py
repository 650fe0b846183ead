"""What is known of a tensor's values: all of them if they are few, else their bounds."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

#: The values a tensor can take; None stands for too many to list.
Domain: TypeAlias = frozenset[float] | None

MOST_VALUES = 16
#: Of a constant that are listed at a time: most weights take too many values already among the first ones.
_PORTION = 1 << 12


@dataclasses.dataclass(frozen=True)
class Values:
    """What is known of a tensor's values.

    Parameters
    ----------
    few
        All of them, if they are few.
    low, high
        Bounds.
    zeros
        Whether exact zeros are there by construction.
    """

    few: Domain = None
    low: float = -math.inf
    high: float = math.inf
    zeros: bool = False

    @property
    def is_one_number(self) -> bool:
        """Whether the tensor holds one value only."""
        return self.few is not None and len(self.few) == 1


ANY = Values()


def listed(values: Iterable[float]) -> Values:
    """Return what is known of a tensor that takes exactly these values, which may be many."""
    few = frozenset(values)
    return Values(few if len(few) <= MOST_VALUES else None, min(few), max(few), 0.0 in few)


def of_array(array: npt.NDArray[Any]) -> Values:
    """Return what is known of a constant; listing stops where its values are too many."""
    flat = array.ravel()
    low, high = (float(flat.min()), float(flat.max())) if flat.size else (math.nan, math.nan)
    if math.isnan(low) or math.isnan(high):
        return ANY
    few: set[float] = set()
    size = _PORTION
    while flat.size and len(few) <= MOST_VALUES:
        few.update(np.unique(flat[:size]).astype(float).tolist())
        # Few values take as many steps as a logarithm; many are seen at once.
        flat, size = flat[size:], 2 * size
    if len(few) <= MOST_VALUES:
        return listed(few)
    return Values(None, low, high, bool((array == 0).any()))


def union(*parts: Values) -> Values:
    """Return what is known of a tensor whose values come from any of several."""
    few = None
    if all(part.few is not None for part in parts):
        joined = frozenset(itertools.chain.from_iterable(part.few or () for part in parts))
        few = joined if len(joined) <= MOST_VALUES else None
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    return Values(few, low, high, any(part.zeros for part in parts))


def sign_of(x: Values) -> Values:
    """Return what is known of a sign: 0 is among its values only if zeros are there by construction."""
    if x.few is not None:
        return listed(float(np.sign(value)) for value in x.few)
    negative, positive = ([-1.0] if x.low < 0 else []), ([1.0] if x.high > 0 else [])
    return listed(negative + ([0.0] if x.zeros or not (negative or positive) else []) + positive)


def relu(x: Values) -> Values:
    """Half of what is negative becomes exact zeros."""
    return Values(None, max(x.low, 0), max(x.high, 0), zeros=True)


def clip(x: Values, low: float, high: float) -> Values:
    """Values pile up at the ends of a clip, which makes zeros if an end is zero."""
    cut = (x.low < low == 0) or (x.high > high == 0)
    return Values(None, max(x.low, low), min(x.high, high), x.zeros or cut)


def whole(x: Values) -> Values:
    """Return what rounding leaves: few values if the bounds are close."""
    if x.high - x.low >= MOST_VALUES:
        return ANY
    return listed(float(value) for value in range(math.floor(x.low), math.ceil(x.high) + 1))


def mean_of(x: Values) -> Values:
    """A mean or a sum of zeros is zero; a value of one sign stays on its side."""
    low, high = (0.0 if x.low >= 0 else -math.inf), (0.0 if x.high <= 0 else math.inf)
    return Values(None, low, high, x.zeros)


def sum_of(x: Values) -> Values:
    """A sum of a few values of both signs may cancel, as a layer's does; other sums are zero where means are."""
    mean = mean_of(x)
    cancels = x.few is not None and x.low < 0 < x.high
    return dataclasses.replace(mean, zeros=mean.zeros or cancels)


def negative(x: Values) -> Values:
    """Mirror the bounds."""
    return Values(None, -x.high, -x.low, x.zeros)


def not_below_zero(x: Values) -> Values:
    """Return what is known of a magnitude."""
    return Values(None, 0, math.inf, x.zeros)


def describe(domain: Domain) -> str:
    """Return a domain as a reader expects it: ``{-1, 1}`` or ``many values``."""
    if domain is None:
        return "many values"
    return "{" + ", ".join(f"{value:g}" for value in sorted(domain)) + "}"
