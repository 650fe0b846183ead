"""Values as sums of products: which terms of a sum there are, however it is spelled, and which of them cancel.

``b * (s - c) + b * c`` has the terms ``b s``, ``-b c`` and ``b c``, of which two are each other's negative. A term is a
number times a product of *factors*: variables or constants that no rule here takes apart, or their reciprocals.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from tvm import relax

from relay_passes.dialect import dtype_of, shape_of
from relay_passes.rewrite import Expr, array_of, is_constant, op_name

#: Sums of more terms are not taken apart.
MOST_TERMS = 32
#: ``x + 2**23 - 2**23`` rounds on purpose: numbers from here on are taken for tools, not for terms.
LEAST_TOOL = 2.0**20
#: What is left of a number that cancels, relative to what it was: the rounding of the numbers as they were written.
ROUNDING = 1e-6
#: Casts between these round as sums do; halves are rounded to on purpose.
_FLOATS = frozenset({"float32", "float64"})


@dataclasses.dataclass(frozen=True)
class Factor:
    """A value that a term multiplies by, or divides by."""

    value: Expr
    divides: bool


#: A term's factors, by keys that are equal for equal factors, in an order that equal products have in common.
Key = tuple[tuple[int, bool], ...]


@dataclasses.dataclass(frozen=True)
class Sum:
    """A number for each product of factors.

    Parameters
    ----------
    terms
        The numbers, by the keys of the products; the key of no factors is ``()``.
    has_cancelled
        Whether there were terms that cancelled.
    """

    terms: Mapping[Key, float]
    has_cancelled: bool = False


class Sums:
    """Takes values apart; ``definition`` looks up what a variable is bound to."""

    def __init__(self, definition: Callable[[Expr], Expr]) -> None:
        """Start with nothing known."""
        self._definition = definition
        self._known: dict[Expr, Sum] = {}
        self._factors: dict[int, Expr] = {}
        self._numbers: dict[object, int] = {}

    def factors(self, key: Key) -> list[Factor]:
        """Return the factors that a key stands for."""
        return [Factor(self._factors[number], divides) for number, divides in key]

    def of(self, value: Expr) -> Sum:
        """Return the terms of a variable or a constant."""
        if is_constant(value):
            return self._of_constant(value)
        if value not in self._known:
            made = self._definition(value)
            found = self.of_call(made) if isinstance(made, relax.Call) else None
            self._known[value] = self._one(value) if found is None else found
        return self._known[value]

    def of_call(self, node: relax.Call) -> Sum | None:
        """Return the terms of a sum, a difference, a product, a quotient or a cast; None if they cannot be told."""
        rule = _RULES.get(op_name(node) or "")
        found = None if rule is None else rule(self, node)
        return None if found is None or not _is_ordinary(found) else found

    def parts(self, node: relax.Call) -> Iterator[tuple[relax.Var, Sum]]:
        """Yield the variables that a sum is put together from, with their terms; outer ones first."""
        waiting, seen = collections.deque(node.args), set()
        while waiting:
            value = waiting.popleft()
            if not isinstance(value, relax.Var) or value in seen:
                continue
            seen.add(value)
            yield value, self.of(value)
            made = self._definition(value)
            if op_name(made) in _RULES:
                waiting.extend(made.args)

    def _one(self, value: Expr, identity: object = None) -> Sum:
        """Return a value as a term of its own."""
        number = self._numbers.setdefault(value if identity is None else identity, len(self._numbers))
        self._factors.setdefault(number, value)
        return Sum({((number, False),): 1.0})

    def _of_constant(self, value: Expr) -> Sum:
        array = array_of(value)
        if array.size and array.dtype.kind in "fiu" and (array == array.flat[0]).all():
            number = float(array.flat[0])
            return Sum({(): number} if number else {})
        return self._one(value, (array.dtype.str, array.shape, array.tobytes()))

    def added(self, node: relax.Call) -> Sum:
        """Return the terms of a sum or a difference."""
        left, right = map(self.of, node.args)
        return _total(left, right, -1.0 if op_name(node) == "relax.subtract" else 1.0)

    def multiplied(self, node: relax.Call) -> Sum | None:
        """Return the terms of a product."""
        return _product(*map(self.of, node.args))

    def divided(self, node: relax.Call) -> Sum | None:
        """Return the terms of a quotient, whose denominator is one term, or taken as one."""
        above, below = map(self.of, node.args)
        if len(below.terms) != 1:
            below = self._one(node.args[1])
        ((key, number),) = below.terms.items()
        turned = tuple(sorted((factor, not divides) for factor, divides in key))
        return _product(above, Sum({turned: 1 / number}, below.has_cancelled))

    def negated(self, node: relax.Call) -> Sum:
        """Return the terms with the opposite sign."""
        return _total(Sum({}), self.of(node.args[0]), -1.0)

    def cast(self, node: relax.Call) -> Sum | None:
        """Return the terms of a float in another type that rounds no more than sums do."""
        return self.of(node.args[0]) if {dtype_of(node.args[0]), str(node.attrs.dtype)} <= _FLOATS else None

    def stacked(self, node: relax.Call) -> Sum | None:
        """Return the terms of ``torch.stack(parts).sum(0)``: a sum over the axis along which the parts lie."""
        reshape = self._definition(node.args[0])
        concat = self._definition(reshape.args[0]) if op_name(reshape) == "relax.reshape" else reshape
        parts = self._definition(concat.args[0]) if op_name(concat) == "relax.concat" else None
        if not isinstance(parts, relax.Tuple) or bool(node.attrs.keepdims) or node.attrs.axis is None:
            return None
        axes, shape = [int(axis) for axis in node.attrs.axis], shape_of(parts.fields[0])
        stacked = (*shape[: axes[0]], len(parts.fields), *shape[axes[0] :])
        is_stack = len(axes) == 1 and shape_of(node.args[0]) == stacked and int(concat.attrs.axis) == axes[0]
        if not is_stack or any(shape_of(part) != shape for part in parts.fields):
            return None
        return functools.reduce(lambda one, other: _total(one, other, 1.0), map(self.of, parts.fields))


_RULES: dict[str, Callable[[Sums, relax.Call], Sum | None]] = {
    "relax.add": Sums.added,
    "relax.subtract": Sums.added,
    "relax.multiply": Sums.multiplied,
    "relax.divide": Sums.divided,
    "relax.negative": Sums.negated,
    "relax.astype": Sums.cast,
    "relax.sum": Sums.stacked,
}


def _total(left: Sum, right: Sum, factor: float) -> Sum:
    """Return ``left + factor * right`` without what cancels."""
    terms, cancelled = dict(left.terms), left.has_cancelled or right.has_cancelled
    for key, number in right.terms.items():
        total = terms.get(key, 0.0) + factor * number
        if key in terms and abs(total) <= ROUNDING * abs(number):
            del terms[key]
            cancelled = cancelled or bool(key)
        else:
            terms[key] = total
    return Sum(terms, cancelled)


def _product(left: Sum, right: Sum) -> Sum | None:
    if len(left.terms) * len(right.terms) > MOST_TERMS:
        return None
    terms: dict[Key, float] = {}
    for one, number in left.terms.items():
        for other, by in right.terms.items():
            key = tuple(sorted((*one, *other)))
            terms[key] = terms.get(key, 0.0) + number * by
    return Sum(terms, left.has_cancelled or right.has_cancelled)


def _is_ordinary(found: Sum) -> bool:
    numbers = np.array(list(found.terms.values()))
    return len(numbers) <= MOST_TERMS and bool((np.abs(numbers) < LEAST_TOOL).all())


def is_same_number(one: float, other: float) -> bool:
    """Tell whether two numbers before a term are the same but for their rounding."""
    return math.isclose(one, other, rel_tol=ROUNDING)
