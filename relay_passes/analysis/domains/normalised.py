"""Quotients by a norm: ``x / |x|.max()``, ``x / sqrt((x * x).sum())`` and ``e / e.sum()`` are within one of zero.

The norm may be clipped from below, shifted upwards, repeated and reshaped, and stand in front as a reciprocal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from tvm import relax

from relay_passes.analysis.values import Values
from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, array_of, is_constant, op_name

_Definition = Callable[[Expr], Expr]
_Domain = Callable[[Expr], Values]
_REPEATS = frozenset({"relax.broadcast_to", "relax.tile"})
_RESHAPES = frozenset({"relax.reshape", "relax.expand_dims", "relax.squeeze"})
_MOVES = _RESHAPES | {"relax.permute_dims"}


def of_quotient(node: relax.Call, definition: _Definition, values: _Domain) -> Values | None:
    """Return the bounds of ``x * (k / norm(x))`` or ``x / norm(x)``; None if the denominator is no norm of ``x``."""
    if op_name(node) == "relax.divide":
        x, norm = node.args
        if _is_norm(norm, x, definition):
            return _times(None, values(x))
        made = definition(x)  # k * x
        for x, number in _either_way(made) if op_name(made) == "relax.multiply" else ():
            if is_constant(number) and _is_norm(norm, x, definition):
                return _times(values(number), values(x))
        return None
    for x, inverse in _either_way(node):
        made = definition(_bare(inverse, definition, _REPEATS))
        if op_name(made) == "relax.divide" and _is_norm(made.args[1], x, definition):
            return _times(values(made.args[0]), values(x))
    return None


def _either_way(node: relax.Call) -> tuple[tuple[Expr, Expr], tuple[Expr, Expr]]:
    one, other = node.args
    return (one, other), (other, one)


def _times(number: Values | None, x: Values) -> Values | None:
    size = 1.0 if number is None else number.high
    if number is not None and not (number.is_one_number and size > 0):
        return None
    return Values(None, 0.0 if x.low >= 0 else -size, size, x.zeros)


def _bare(value: Expr, definition: _Definition, operators: Collection[str]) -> Expr:
    """Return what a value is made of by some operators of one operand."""
    made = definition(value)
    while op_name(made) in operators:
        value = made.args[0]
        made = definition(value)
    return value


def _is_norm(norm: Expr, x: Expr, definition: _Definition) -> bool:
    """Tell whether a value is nowhere less than the numbers of ``x`` that it is made of, and stands where they do."""
    source = _bare(norm, definition, _REPEATS)
    reduced = _reduced(source, x, definition)
    if reduced is None or len(shape_of(source)) > len(shape_of(x)):
        return False
    shape = shape_of(x)
    axes = set(range(len(shape))) if reduced.attrs.axis is None else {int(axis) for axis in reduced.attrs.axis}
    sizes = (1,) * (len(shape) - len(shape_of(source))) + shape_of(source)
    return sizes == tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))


def _reduced(value: Expr, x: Expr, definition: _Definition) -> relax.Call | None:
    """Return the maximum or the sum that a norm of ``x`` is, None if a value is no norm."""
    made = definition(_bare(value, definition, _RESHAPES))
    name = op_name(made)
    if name in {"relax.clip", "relax.maximum"} or (name == "relax.add" and _is_positive(made.args[1])):
        return _reduced(made.args[0], x, definition)
    if name in {"relax.max", "relax.sum"}:
        return made if _is_magnitude(_of_all(made, definition), x, definition) else None
    if name == "relax.sqrt" or (name == "relax.power" and _is_number(made.args[1], 0.5)):
        total = definition(_bare(made.args[0], definition, _RESHAPES))
        if op_name(total) in {"relax.clip", "relax.maximum", "relax.add"}:
            is_above = op_name(total) != "relax.add" or _is_positive(total.args[1])
            total = definition(_bare(total.args[0], definition, _RESHAPES)) if is_above else total
        return (
            total if op_name(total) == "relax.sum" and _is_square(_of_all(total, definition), x, definition) else None
        )
    return None


def _of_all(reduced: relax.Call, definition: _Definition) -> Expr:
    """Return what is reduced; in another order if all of it is."""
    moves = _MOVES if reduced.attrs.axis is None else frozenset()
    return _bare(reduced.args[0], definition, moves)


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
