"""Operators whose results are whole numbers, however wide their bounds: rounding, remainders, casts to integers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from tvm import relax

from relay_passes.analysis import values as v
from relay_passes.analysis.domains.rule import Rule
from relay_passes.analysis.values import ANY, BOOLEAN, WHOLE, Values, bounded
from relay_passes.dialect import dtype_of

#: Integers of more bits have bounds that say nothing.
_MOST_BITS = 16


def _rounded(function: Callable[[float], float]) -> Rule:
    return lambda _node, operands: v.whole(operands[0], function)


def _remainder(_node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound ``x % m``, which has the sign of a number ``m``."""
    x, divisor = operands
    if not divisor.is_one_number or not divisor.low:
        return ANY
    low, high = min(divisor.low, 0.0), max(divisor.high, 0.0)
    grid = v.common_grid(operands)
    found = bounded(low, high, x.zeros, grid)
    if found.few is None:
        return found
    return v.listed(value for value in found.few if value != divisor.low)  # never the divisor itself


def _truncated_remainder(_node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound ``fmod(x, m)``, which has the sign of ``x``."""
    x, divisor = operands
    size = v.magnitude(divisor).high
    low, high = (0.0 if x.low >= 0 else -size), (0.0 if x.high <= 0 else size)
    found = bounded(low, high, x.zeros, v.common_grid(operands))
    return found if found.few is None else v.listed(value for value in found.few if abs(value) != size)


def _floor_quotient(node: relax.Call, operands: Sequence[Values]) -> Values:
    divisor = operands[1]
    if not divisor.is_one_number or not divisor.low:
        return bounded(-math.inf, math.inf, grid=WHOLE)
    low, high = sorted((operands[0].low / divisor.low, operands[0].high / divisor.low))
    return v.whole(Values(None, low, high), math.floor)


def of_cast(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Return what a cast leaves; floats become integers by dropping what is behind the point."""
    x, source, target = operands[0], dtype_of(node.args[0]), str(node.attrs.dtype)
    if target == "bool":
        return x if source == "bool" else BOOLEAN
    if is_integer(target) and not is_integer(source) and source != "bool":
        return within(target, v.whole(x, math.trunc) if x.few is None else _truncated(x))
    return within(target, x) if is_integer(target) else x


def _truncated(x: Values) -> Values:
    return v.listed(float(math.trunc(value)) for value in x.few or ())


def is_integer(dtype: str) -> bool:
    """Tell whether a type is of integers."""
    return dtype.startswith(("int", "uint"))


def within(dtype: str, x: Values) -> Values:
    """Return what is known of integers of a type: they are whole, and short ones are bounded."""
    if x.few is not None and _fits(dtype, x):
        return x
    info = np.iinfo(dtype)
    if _fits(dtype, x):
        return bounded(x.low, x.high, x.zeros, x.grid or WHOLE)
    if info.bits > _MOST_BITS:
        return bounded(x.low, x.high, x.zeros, WHOLE)
    return bounded(float(info.min), float(info.max), x.zeros, WHOLE)


def _fits(dtype: str, x: Values) -> bool:
    info = np.iinfo(dtype)
    return float(info.min) <= x.low and x.high <= float(info.max)


def _masked(_node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound ``x & m``: between zero and a mask that is not negative."""
    masks = [x.high for x in operands if x.is_one_number and x.low >= 0]
    return bounded(0.0, min(masks), grid=WHOLE) if masks else ANY


BOUNDS: dict[str, Rule] = {
    "round": _rounded(lambda value: float(np.round(value))),
    "floor": _rounded(math.floor),
    "ceil": _rounded(math.ceil),
    "trunc": _rounded(math.trunc),
    "floor_mod": _remainder,
    "mod": _truncated_remainder,
    "floor_divide": _floor_quotient,
    "bitwise_and": _masked,
}
