"""Differences of a value and what was made of it, which are exact zeros by construction.

``x - x % m`` is a multiple of ``m``. ``x - x.clamp(-1, 1)`` is zero wherever the clip does not cut.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tvm import relax

from relay_passes.analysis.values import Grid, Values, bounded
from relay_passes.rewrite import Expr, op_name

_Definition = Callable[[Expr], Expr]
_Domain = Callable[[Expr], Values]
#: Operators that hand on some of the values that they take.
_PASSING = frozenset(
    f"relax.{name}" for name in ("clip", "nn.relu", "maximum", "minimum", "where", "abs", "nn.leakyrelu")
)
_REMAINDERS = frozenset({"relax.floor_mod", "relax.mod"})


def of_difference(node: relax.Call, definition: _Definition, values: _Domain, found: Values) -> Values:
    """Return what is known of a difference, given what is known of one of unrelated values."""
    x, y = node.args
    made = definition(y)
    if op_name(made) in _REMAINDERS and made.args[0].same_as(x):
        divisor = values(made.args[1])
        if divisor.is_one_number and divisor.low:
            return bounded(found.low, found.high, True, Grid(abs(divisor.low)))
    if found.few is None and _sources(x, definition) & _sources(y, definition):
        return dataclasses.replace(found, zeros=True)
    return found


def _sources(value: Expr, definition: _Definition) -> set[Expr]:
    """Return the variables that a value may equal in places."""
    found = {value} if isinstance(value, relax.Var) else set()
    made = definition(value)
    if op_name(made) in _PASSING:
        for arg in made.args:
            found |= _sources(arg, definition)
    return found
