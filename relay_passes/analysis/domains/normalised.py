"""Quotients by a norm: ``x / |x|.max()``, ``x / sqrt((x * x).sum())`` and ``e / e.sum()`` are within one of zero.

The norm may be clipped from below, shifted upwards, repeated and reshaped, and stand in front as a reciprocal.
"""

from __future__ import annotations

from collections.abc import Callable

from tvm import relax

from relay_passes.analysis.values import Values
from relay_passes.rewrite import Expr, array_of, is_constant, op_name

_Definition = Callable[[Expr], Expr]
_Domain = Callable[[Expr], Values]
_TRANSPARENT = frozenset(f"relax.{name}" for name in ("broadcast_to", "reshape", "expand_dims", "squeeze", "tile"))


def of_quotient(node: relax.Call, definition: _Definition, values: _Domain) -> Values | None:
    """Return the bounds of ``x * (k / norm(x))`` or ``x / norm(x)``; None if the denominator is no norm of ``x``."""
    if op_name(node) == "relax.multiply":
        for x, inverse in (tuple(node.args), tuple(node.args)[::-1]):
            made = _bare(inverse, definition)
            if op_name(made) == "relax.divide" and _is_norm(made.args[1], x, definition):
                return _times(values(made.args[0]), values(x))
        return None
    return _times(None, values(node.args[0])) if _is_norm(node.args[1], node.args[0], definition) else None


def _times(number: Values | None, x: Values) -> Values | None:
    size = 1.0 if number is None else number.high
    if number is not None and not (number.is_one_number and size > 0):
        return None
    return Values(None, 0.0 if x.low >= 0 else -size, size, x.zeros)


def _bare(value: Expr, definition: _Definition) -> Expr:
    """Return what a value repeats or reshapes."""
    made = definition(value)
    while op_name(made) in _TRANSPARENT:
        made = definition(made.args[0])
    return made


def _is_norm(value: Expr, x: Expr, definition: _Definition) -> bool:
    """Tell whether a value is nowhere less than what it is made of is in magnitude."""
    made = _bare(value, definition)
    if isinstance(made, relax.TupleGetItem):
        largest = definition(made.tuple_value)
        is_first = op_name(largest) == "relax.topk" and int(made.index) == 0
        is_maximum = is_first and bool(largest.attrs.largest) and int(largest.attrs.k) == 1
        return is_maximum and _is_magnitude(largest.args[0], x, definition)
    name = op_name(made)
    if name in {"relax.clip", "relax.maximum"} or (name == "relax.add" and _is_positive(made.args[1])):
        return _is_norm(made.args[0], x, definition)
    if name in {"relax.max", "relax.sum"}:
        return _is_magnitude(made.args[0], x, definition)
    if name == "relax.sqrt" or (name == "relax.power" and _is_number(made.args[1], 0.5)):
        total = _bare(made.args[0], definition)
        if op_name(total) == "relax.add" and _is_positive(total.args[1]):
            total = _bare(total.args[0], definition)
        return op_name(total) == "relax.sum" and _is_square(total.args[0], x, definition)
    return False


def _is_magnitude(value: Expr, x: Expr, definition: _Definition) -> bool:
    """Tell whether a value is ``|x|``, or ``x`` itself where that has no negative values."""
    made = definition(value)
    if op_name(made) == "relax.abs":
        return bool(made.args[0].same_as(x))
    return bool(value.same_as(x)) and op_name(made) in {"relax.exp", "relax.sigmoid", "relax.nn.relu", "relax.abs"}


def _is_square(value: Expr, x: Expr, definition: _Definition) -> bool:
    made = definition(value)
    if op_name(made) == "relax.multiply":
        return all(arg.same_as(x) for arg in made.args)
    if op_name(made) == "relax.square":
        return bool(made.args[0].same_as(x))
    if op_name(made) != "relax.power" or not _is_number(made.args[1], 2.0):
        return False
    base = definition(made.args[0])
    return bool(made.args[0].same_as(x)) or (op_name(base) == "relax.abs" and bool(base.args[0].same_as(x)))


def _is_number(value: Expr, number: float) -> bool:
    return is_constant(value) and bool((array_of(value) == number).all())


def _is_positive(value: Expr) -> bool:
    return is_constant(value) and bool((array_of(value) >= 0).all())
