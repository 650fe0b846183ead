"""Drop the gradient's half of the straight-through idiom: in inference it adds zero.

Before: ``y = (s - c) + c`` with ``s`` of a small value domain, typically signs, and ``c`` the surrogate.
After:  ``y = s``.

Sums are looked at as sums: ``x - x + s``, ``s + c - c``, ``2 * (s - c) + c + c`` and ``(b * s - c) + c`` with a scale
of each sample all lose what cancels in real arithmetic. Exact up to the rounding of the operations that go, which
trained models carry as noise around ±1. Only where a term of few values or of whole numbers remains: there the
difference can have had no purpose but the gradient's. ``x - round(x) + round(x)`` and ``x + 2**23 - 2**23`` stay.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import tvm
from tvm import relax

from relay_passes.analysis.sums import Key, Sum, Sums, is_same_number
from relay_passes.dialect import dtype_of, shape_of
from relay_passes.domain_rewriter import DomainRewriter
from relay_passes.rewrite import Expr, is_constant, op_name

_SUMS = frozenset({"relax.add", "relax.subtract", "relax.sum"})


class _Collapse(DomainRewriter):
    def __init__(self) -> None:
        super().__init__()
        self._sums = Sums(self.definition)

    def call(self, node: relax.Call) -> Expr:
        found = self._sums.of_call(node) if op_name(node) in _SUMS else None
        if found is None or not found.has_cancelled:
            return node
        made = self.builder.normalize(node)
        return self._rebuilt(node, found, made) if self._is_quantized(found, shape_of(made)) else node

    def _is_quantized(self, found: Sum, shape: tuple[int, ...]) -> bool:
        """Tell whether a term takes few values or whole numbers, a smaller scale aside; or only a number is left."""
        return set(found.terms) == {()} or any(self._is_term_quantized(key, shape) for key in found.terms)

    def _is_term_quantized(self, key: Key, shape: tuple[int, ...]) -> bool:
        factors = [factor.value for factor in self._sums.factors(key)]
        quantized = [self.domains.values(value).is_quantized for value in factors]
        has_signal = any(few and not is_constant(value) for few, value in zip(quantized, factors, strict=True))
        return has_signal and all(
            few or shape_of(value) != shape for few, value in zip(quantized, factors, strict=True)
        )

    def _rebuilt(self, node: relax.Call, found: Sum, made: relax.Call) -> Expr:
        """Return the sum of what is left, of the values that are there already where they fit."""
        shape, dtype = shape_of(made), dtype_of(made)
        left, addends = dict(found.terms), []
        for part, terms in sorted(self._sums.parts(node), key=lambda pair: -len(pair[1].terms)):
            if terms.terms and not terms.has_cancelled and _is_part(terms, left):
                addends.append(self._as(part, dtype))
                for key in terms.terms:
                    del left[key]
        addends += [self._term(key, number, dtype) for key, number in left.items()]
        total = functools.reduce(lambda one, other: self.emit(relax.op.add(one, other)), addends)
        return total if shape_of(total) == shape else relax.op.broadcast_to(total, shape)

    def _as(self, value: Expr, dtype: str) -> Expr:
        return value if dtype_of(value) == dtype else self.emit(relax.op.astype(value, dtype))

    def _term(self, key: Key, number: float, dtype: str) -> Expr:
        """Return a number times its factors."""
        result: Expr = relax.const(number, dtype)
        is_one = number == 1 and key
        for factor in sorted(self._sums.factors(key), key=lambda factor: factor.divides):
            value = self._as(factor.value, dtype)
            if is_one and not factor.divides:
                result, is_one = value, False
                continue
            is_one = False
            operator = relax.op.divide if factor.divides else relax.op.multiply
            result = self.emit(operator(result, value))
        return result


def _is_part(terms: Sum, left: Mapping[Key, float]) -> bool:
    return all(key in left and is_same_number(left[key], number) for key, number in terms.terms.items())


def collapse_straight_through(module: tvm.IRModule) -> tvm.IRModule:
    """Drop what cancels from sums of which a term of few values, or of whole numbers, is left."""
    return _Collapse().run(module)
