"""What is known of a tensor's values: all of them if they are few, else their bounds, and a grid they may lie on."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relay_passes.analysis.planes import ladder

#: The values a tensor can take; None stands for too many to list.
Domain: TypeAlias = frozenset[float] | None

MOST_VALUES = 16
#: Of a constant that are listed at a time: most weights take too many values already among the first ones.
_PORTION = 1 << 12
#: How far a value may lie from a point of a grid, in steps.
_ON_GRID = 1e-3


@dataclasses.dataclass(frozen=True)
class Grid:
    """The values ``origin + k * step`` with whole numbers ``k``; ``step`` is positive."""

    step: float
    origin: float = 0.0

    def holds(self, value: float) -> bool:
        """Tell whether a value is a point of the grid, rounding aside."""
        steps = (value - self.origin) / self.step
        return abs(steps - round(steps)) <= _ON_GRID

    def between(self, low: float, high: float) -> list[float] | None:
        """Return the points between two bounds, which count, ascending; None if they are more than a domain lists."""
        if not high - low < MOST_VALUES * self.step:
            return None
        first = math.ceil((low - self.origin) / self.step - _ON_GRID)
        last = math.floor((high - self.origin) / self.step + _ON_GRID)
        return [self.origin + k * self.step for k in range(first, last + 1)]

    @property
    def multiples(self) -> Grid | None:
        """The coarsest grid through zero that holds all of this one's points; None if there is no such."""
        return self if self.holds(0) else joint(self.step, abs(self.origin))


WHOLE = Grid(1.0)


def joint(*steps: float) -> Grid | None:
    """Return the grid through zero of the largest step that all the given ones are multiples of, None without one."""
    points = sorted({0.0, *itertools.accumulate(steps)})
    step = ladder(points) if points[-1] < math.inf else None
    return None if step is None else Grid(step)


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
    grid
        The grid on which all values lie, if they are many: whole numbers after rounding, say.
    """

    few: Domain = None
    low: float = -math.inf
    high: float = math.inf
    zeros: bool = False
    grid: Grid | None = None

    @property
    def is_one_number(self) -> bool:
        """Whether the tensor holds one value only."""
        return self.few is not None and len(self.few) == 1

    @property
    def is_quantized(self) -> bool:
        """Whether the values are few, or lie on a grid."""
        return self.few is not None or self.grid is not None

    @property
    def lattice(self) -> Grid | None:
        """The grid on which the values lie, however few they are."""
        if self.few is None or self.grid is not None:
            return self.grid
        if len(self.few) == 1:
            (value,) = self.few
            return Grid(abs(value)) if value else WHOLE
        step = ladder(sorted(self.few))
        return None if step is None else Grid(step, min(self.few))


ANY = Values()
BOOLEAN = Values(frozenset({0.0, 1.0}), 0.0, 1.0, True)


def listed(values: Iterable[float]) -> Values:
    """Return what is known of a tensor that takes exactly these values, which may be many."""
    found = set(values)
    if not found or any(math.isnan(value) for value in found):
        return ANY
    few = frozenset(found) if len(found) <= MOST_VALUES and all(map(math.isfinite, found)) else None
    return Values(few, min(found), max(found), 0.0 in found)


def bounded(low: float, high: float, zeros: bool = False, grid: Grid | None = None) -> Values:
    """Return what is known between bounds; a grid lists the values if they are few, and makes zeros if it has any."""
    if math.isnan(low) or math.isnan(high) or low > high:
        low, high = -math.inf, math.inf
    points = None if grid is None else grid.between(low, high)
    if points:
        return listed(0.0 if abs(point) <= _ON_GRID * (grid or WHOLE).step else point for point in points)
    zeros = zeros or (grid is not None and low <= 0 <= high and grid.holds(0))
    return Values(None, low, high, zeros, grid)


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
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    zeros = any(part.zeros for part in parts)
    if all(part.few is not None for part in parts):
        joined = frozenset(itertools.chain.from_iterable(part.few or () for part in parts))
        if len(joined) <= MOST_VALUES:
            return Values(joined, low, high, zeros)
    return Values(None, low, high, zeros, common_grid(parts))


def common_grid(parts: Iterable[Values]) -> Grid | None:
    """Return a grid through zero on which the values of several tensors lie, None if there is no such."""
    grids = [None if part.lattice is None else part.lattice.multiples for part in parts]
    steps = [grid.step for grid in grids if grid is not None]
    return joint(*steps) if len(steps) == len(grids) else None


def sign_of(x: Values) -> Values:
    """Return what is known of a sign: 0 is among its values only if zeros are there by construction."""
    if x.few is not None:
        return listed(float(np.sign(value)) for value in x.few)
    negative, positive = ([-1.0] if x.low < 0 else []), ([1.0] if x.high > 0 else [])
    return listed(negative + ([0.0] if x.zeros or not (negative or positive) else []) + positive)


def clip(x: Values, low: float, high: float) -> Values:
    """Values pile up at the ends of a clip, which makes zeros if an end is zero."""
    cut = (x.low < low == 0) or (x.high > high == 0)
    below, above = min(max(x.low, low), high), max(min(x.high, high), low)
    inside = None if x.grid is None else x.grid.between(below, above)
    if inside is None:
        return Values(None, below, above, x.zeros or cut, x.grid if _keeps(x, below, above) else None)
    ends = ([low] if x.low < low else []) + ([high] if x.high > high else [])
    return union(*(listed(points) for points in (inside, ends) if points)) if inside or ends else ANY


def _keeps(x: Values, low: float, high: float) -> bool:
    """Tell whether the ends of a clip are points of the values' grid, or do not cut."""
    ends = [end for end, own in ((low, x.low), (high, x.high)) if end != own]
    return x.grid is not None and all(map(x.grid.holds, ends))


def whole(x: Values, round_to_whole: Callable[[float], float]) -> Values:
    """Return what rounding leaves: whole numbers, few if the bounds are close."""
    low, high = (end if math.isinf(end) else float(round_to_whole(end)) for end in (x.low, x.high))
    return bounded(low, high, grid=WHOLE)


def mean_of(x: Values, count: int | None) -> Values:
    """Return what is known of means of ``count`` values each, or of several counts.

    On a grid they lie on a finer one. Else a mean of zeros is zero, and one of few values of both signs may cancel.
    """
    lattice = x.lattice
    if count is not None and lattice is not None:
        return bounded(x.low, x.high, grid=Grid(lattice.step / count, lattice.origin))
    may_cancel = x.is_quantized and x.low < 0 < x.high
    return Values(None, x.low, x.high, x.zeros or may_cancel)


def sum_of(x: Values, count: int) -> Values:
    """Return what is known of sums of ``count`` values each: means times their count."""
    mean = mean_of(x, count)
    if mean.few is not None:
        return listed(value * count for value in mean.few)
    grid = None if mean.grid is None else Grid(mean.grid.step * count, mean.grid.origin * count)
    return Values(None, mean.low * count, mean.high * count, mean.zeros, grid)


def negative(x: Values) -> Values:
    """Mirror the bounds."""
    return Values(None, -x.high, -x.low, x.zeros, None if x.grid is None else Grid(x.grid.step, -x.grid.origin))


def magnitude(x: Values) -> Values:
    """Return what is known of absolute values."""
    low = 0.0 if x.low <= 0 <= x.high else min(abs(x.low), abs(x.high))
    grid = None if x.grid is None else x.grid.multiples
    return bounded(low, max(abs(x.low), abs(x.high)), x.zeros, grid)


def describe(domain: Domain) -> str:
    """Return a domain as a reader expects it: ``{-1, 1}`` or ``many values``."""
    if domain is None:
        return "many values"
    return "{" + ", ".join(f"{value:g}" for value in sorted(domain)) + "}"
