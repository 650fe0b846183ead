"""Bounds, zeros and grids of sums, products, quotients and powers that take many values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from tvm import relax

from relay_passes.analysis import values as v
from relay_passes.analysis.domains.rule import Rule
from relay_passes.analysis.values import ANY, Grid, Values, bounded, listed
from relay_passes.rewrite import array_of, is_constant, op_name

_SQUARE = 2


def _times(one: float, other: float) -> float:
    """Return a product in which zero times infinity is zero, as bounds need it."""
    return 0.0 if one == 0 or other == 0 else one * other


def _corners(function: Callable[[float, float], float], one: Values, other: Values) -> tuple[float, float]:
    found = [function(*corner) for corner in itertools.product((one.low, one.high), (other.low, other.high))]
    return min(found), max(found)


def _product(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound a product: zeros stay, and so does a common sign. A square has no negative values."""
    one, other = operands
    if node.args[0].same_as(node.args[1]):
        return _square(one)
    if frozenset({0.0}) in {one.few, other.few}:
        return listed([0.0])
    low, high = _corners(_times, one, other)
    for number, x in ((one, other), (other, one)):
        if number.is_one_number:
            return bounded(low, high, x.zeros, _scaled(x.lattice, number.low))
    grids = [None if x.lattice is None else x.lattice.multiples for x in operands]
    steps = [grid.step for grid in grids if grid is not None]
    grid = Grid(math.prod(steps)) if len(steps) == len(grids) else None
    return bounded(low, high, one.zeros or other.zeros, grid)


def _scaled(grid: Grid | None, number: float) -> Grid | None:
    return None if grid is None or not number else Grid(grid.step * abs(number), grid.origin * number)


def _quotient(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound a quotient: zeros stay, and so does a common sign."""
    one, other = operands
    if other.low <= 0 <= other.high:
        low = 0.0 if one.low >= 0 and other.low >= 0 else -math.inf
        return Values(None, low, math.inf, one.zeros)
    low, high = _corners(lambda above, below: 0.0 if math.isinf(below) else above / below, one, other)
    grid = _scaled(one.lattice, 1 / other.low) if other.is_one_number else None
    return bounded(low, high, one.zeros, grid)


def _sum(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound a sum or a difference: zeros stay where both have them, and a sum on a grid may cancel."""
    one, other = operands
    if op_name(node) == "relax.subtract":
        if node.args[0].same_as(node.args[1]):
            return listed([0.0])
        other = _mirrored(other)
    zeros = one.zeros and other.zeros
    return bounded(one.low + other.low, one.high + other.high, zeros, _sum_grid(one, other))


def _mirrored(x: Values) -> Values:
    return listed(-value for value in x.few) if x.few is not None else v.negative(x)


def _sum_grid(one: Values, other: Values) -> Grid | None:
    for number, x in ((one, other), (other, one)):
        if number.is_one_number:
            return None if x.lattice is None else Grid(x.lattice.step, x.lattice.origin + number.low)
    first, second = one.lattice, other.lattice
    steps = None if first is None or second is None else v.joint(first.step, second.step)
    return None if first is None or second is None or steps is None else Grid(steps.step, first.origin + second.origin)


def _square(x: Values) -> Values:
    size, grid = v.magnitude(x), None if x.lattice is None else x.lattice.multiples
    squares = None if grid is None else Grid(grid.step * grid.step)
    return bounded(size.low * size.low, size.high * size.high, x.zeros, squares)


def _power(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound a power by a number: even ones as squares, others where nothing is negative."""
    x, exponent = operands
    if not exponent.is_one_number or not is_constant(node.args[1]) or exponent.low <= 0:
        return ANY if x.low < 0 else Values(None, 0, math.inf)
    number = float(array_of(node.args[1]).flat[0])
    if number == _SQUARE:
        return _square(x)
    if number % 2 == 0:
        x = v.magnitude(x)
    elif x.low < 0 and number % 1:
        return ANY
    ends = [math.copysign(abs(end) ** number, end) for end in (x.low, x.high)]
    return bounded(ends[0], ends[1], x.zeros)


def _multiply_add(_node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound a product and a sum: zeros stay where nothing is added to them."""
    x, slope, offset = operands
    low, high = _corners(_times, x, slope)
    return bounded(low + offset.low, high + offset.high, (x.zeros or slope.zeros) and offset.zeros)


def _extreme(pick: Callable[..., float]) -> Rule:
    def bound(_node: relax.Call, operands: Sequence[Values]) -> Values:
        low, high = (pick(getattr(operand, end) for operand in operands) for end in ("low", "high"))
        numbers = [operand for operand in operands if operand.is_one_number]
        (x, *_) = [operand for operand in operands if not operand.is_one_number] or operands
        if numbers:
            return v.clip(x, numbers[0].low, math.inf) if pick is max else v.clip(x, -math.inf, numbers[0].high)
        return bounded(low, high, any(operand.zeros for operand in operands), v.common_grid(operands))

    return bound


def _clip(node: relax.Call, operands: Sequence[Values]) -> Values:
    low, high = (float(bound.value) for bound in node.args[1:])
    return v.clip(operands[0], low, high)


BOUNDS: dict[str, Rule] = {
    "add": _sum,
    "bnn.multiply_add": _multiply_add,
    "subtract": _sum,
    "multiply": _product,
    "divide": _quotient,
    "power": _power,
    "square": lambda _, operands: _square(operands[0]),
    "abs": lambda _, operands: v.magnitude(operands[0]),
    "negative": lambda _, operands: v.negative(operands[0]),
    "maximum": _extreme(max),
    "minimum": _extreme(min),
    "clip": _clip,
    "nn.relu": lambda _, operands: v.clip(operands[0], 0.0, math.inf),
}
