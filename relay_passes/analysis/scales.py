"""Values of few values times real factors: ``s * b`` with signs ``s`` and one ``b`` a token, however it is spelled.

The two are told apart through products, quotients, sums of equal scales, selections between ``b`` and ``-b``, and the
moves between a scale and the layer that it reaches: transposes, reshapes, slices, broadcasts, zero padding.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Collection, Sequence

import numpy as np
from tvm import relax

from relay_passes.analysis.planes import planes_of
from relay_passes.analysis.sums import Factor, Sums
from relay_passes.analysis.value_domain import ValueDomains
from relay_passes.dialect import dtype_of, shape_of
from relay_passes.rewrite import Expr, array_of, constant, is_constant, op_name

#: Sums of more terms are not looked at for a common scale.
_MOST_TERMS = 8
_RESHAPES = frozenset({"relax.reshape", "relax.expand_dims", "relax.squeeze"})


@dataclasses.dataclass(frozen=True)
class Scaled:
    """A value of few values, in the shape of the whole, and the factors that it is multiplied by or divided by."""

    few: Expr
    scales: tuple[Factor, ...] = ()


class Scales:
    """Splits values.

    Parameters
    ----------
    definition
        Looks up what a variable is bound to.
    domains
        Knows the values of the variables.
    emit
        Binds a call, of which the values are then known too.
    """

    def __init__(
        self, definition: Callable[[Expr], Expr], domains: ValueDomains, emit: Callable[[Expr], relax.Var]
    ) -> None:
        """Start with nothing known."""
        self._definition, self._domains, self._emit = definition, domains, emit
        self._sums = Sums(definition)
        self._known: dict[Expr, Scaled | None] = {}

    def split(self, value: Expr) -> Scaled | None:
        """Return what takes few values and its factors; None if there is no such part."""
        if is_constant(value) and not self._domains.values(value).is_one_number:
            return None  # of a product that takes many values, a scale
        if value not in self._known:
            few = self._domains.of(value)
            planes = planes_of(few)
            if few is not None and (planes is None or len(planes) > 1):
                found = self._of_made(value)
                inner = None if found is None else planes_of(self._domains.of(found.few))
                is_better = inner is not None and (planes is None or len(inner) < len(planes))
                self._known[value] = found if is_better else Scaled(value)
            else:
                self._known[value] = self._of_made(value) if few is None else Scaled(value)
        return self._known[value]

    def _of_made(self, value: Expr) -> Scaled | None:
        made = self._definition(value)
        if isinstance(made, relax.TupleGetItem):
            return self._chunk(made)
        rule = _RULES.get(op_name(made) or "")
        found = None if rule is None else rule(self, made)
        if found is None or is_constant(found.few) or shape_of(found.few) != shape_of(value):
            return None
        return found if self._domains.of(found.few) is not None else None

    def multiplied(self, node: relax.Call) -> Scaled | None:
        """Split a product: factors without a few-valued part are scales."""
        left, right = (self.split(arg) for arg in node.args)
        if left is not None and right is not None:
            return Scaled(self._emit(relax.op.multiply(left.few, right.few)), left.scales + right.scales)
        for part, other in ((left, node.args[1]), (right, node.args[0])):
            if part is not None:
                return Scaled(part.few, (*part.scales, Factor(self._narrow(other), False)))
        return None

    def divided(self, node: relax.Call) -> Scaled | None:
        """Split a quotient, whose denominator is a scale."""
        above = self.split(node.args[0])
        if above is None:
            return None
        return Scaled(above.few, (*above.scales, Factor(self._narrow(node.args[1]), True)))

    def negated(self, node: relax.Call) -> Scaled | None:
        """Split what is negated."""
        part = self.split(node.args[0])
        return None if part is None else Scaled(self._emit(relax.op.negative(part.few)), part.scales)

    def added(self, node: relax.Call) -> Scaled | None:
        """Split a sum or a difference of terms that have their scales in common: ``b * s - b`` too."""
        found = self._combined(list(node.args), lambda parts: relax.Call(node.op, parts, node.attrs))
        return self._of_terms(node) if found is None else found

    def _of_terms(self, node: relax.Call) -> Scaled | None:
        """Split a sum whose terms are products of few-valued factors and one common scale."""
        total = self._sums.of_call(node)
        if total is None or total.has_cancelled or len(total.terms) > _MOST_TERMS:
            return None
        scale, shape, few = None, shape_of(self._emit(node)), []
        for key, number in total.terms.items():
            factors = self._sums.factors(key)
            signals = [each for each in factors if self._is_signal(each, shape)]
            rest = [Factor(self._narrow(each.value), each.divides) for each in factors if each not in signals]
            scale = rest if scale is None else scale
            if not rest or not _are_same(rest, scale):
                return None
            term: Expr = relax.const(number, dtype_of(self._emit(node)))
            for each in signals:
                term = self._emit(relax.op.multiply(term, each.value))
            few.append(term)
        return Scaled(
            functools.reduce(lambda one, other: self._emit(relax.op.add(one, other)), few), tuple(scale or ())
        )

    def _is_signal(self, factor: Factor, shape: tuple[int, ...]) -> bool:
        values = self._domains.of(factor.value)
        return not factor.divides and shape_of(factor.value) == shape and values is not None

    def selected(self, node: relax.Call) -> Scaled | None:
        """Split ``where(m, s * b, t * b)``, or ``where(m, b, -b)``: a selection between multiples of one scale."""
        condition, *branches = node.args
        found = self._combined(branches, lambda parts: relax.op.where(condition, *parts))
        if found is not None:
            return found
        sums = [self._sums.of(branch) for branch in branches]
        keys = {key for found in sums for key in found.terms}
        if len(keys) != 1 or () in keys or any(found.has_cancelled for found in sums):
            return None
        (key,) = keys
        numbers = [relax.const(found.terms.get(key, 0.0), dtype_of(branches[0])) for found in sums]
        factors = (Factor(self._narrow(each.value), each.divides) for each in self._sums.factors(key))
        return Scaled(self._emit(relax.op.where(condition, *numbers)), tuple(factors))

    def _combined(self, args: Sequence[Expr], make: Callable[[list[Expr]], relax.Call]) -> Scaled | None:
        parts = [self.split(arg) for arg in args]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts) or any(not _are_same(part.scales, known[0].scales) for part in known):
            return None
        return Scaled(self._emit(make([part.few for part in known])), known[0].scales)

    def _narrow(self, value: Expr) -> Expr:
        """Return a scale without the axes along which it is repeated."""
        made = self._definition(value)
        if op_name(made) == "relax.broadcast_to":
            return self._narrow(made.args[0])
        if not is_constant(made):
            return value
        array = array_of(made)
        for axis in range(array.ndim):
            first = array.take([0], axis)
            array = first if (array == first).all() else array
        return constant(np.ascontiguousarray(array))

    def _moved(
        self, node: relax.Call, move: Callable[[Expr], Expr], of_scale: Callable[[Expr], Expr | None]
    ) -> Scaled | None:
        """Split what is moved, and move the parts."""
        part = self.split(node.args[0])
        if part is None:
            return None
        scales = []
        for scale in part.scales:
            moved = of_scale(scale.value)
            if moved is None:
                return None
            scales.append(Factor(moved, scale.divides))
        return Scaled(self._emit(move(part.few)), tuple(scales))

    def permuted(self, node: relax.Call) -> Scaled | None:
        """Split what is transposed."""
        rank = len(shape_of(node.args[0]))
        axes = list(range(rank))[::-1] if node.attrs.axes is None else [int(axis) for axis in node.attrs.axes]

        def permute(value: Expr) -> relax.Call:
            return relax.op.permute_dims(value, axes)

        return self._moved(node, permute, lambda scale: self._emit(permute(self._of_rank(scale, rank))))

    def reshaped(self, node: relax.Call) -> Scaled | None:
        """Split what is reshaped."""
        before, after = shape_of(node.args[0]), shape_of(self._emit(node))

        def of_scale(scale: Expr) -> Expr | None:
            wide, sizes = reshaped_sizes(_sizes(scale, len(before)), before, after)
            if wide != shape_of(scale):
                scale = self._emit(relax.op.broadcast_to(scale, wide))
            return self._emit(relax.op.reshape(scale, sizes))

        return self._moved(node, lambda few: relax.op.reshape(few, after), of_scale)

    def sliced(self, node: relax.Call) -> Scaled | None:
        """Split what is sliced along axes on which the scale is one number."""
        axes = [int(getattr(axis, "value", axis)) for axis in node.args[1].fields]
        return self._along(node, axes, lambda few: relax.Call(node.op, [few, *node.args[1:]], node.attrs))

    def padded(self, node: relax.Call) -> Scaled | None:
        """Split what is padded with zeros along axes on which the scale is one number."""
        if str(node.attrs.pad_mode) != "constant" or float(node.attrs.pad_value):
            return None
        widths = np.array([int(width) for width in node.attrs.pad_width]).reshape(-1, 2)
        axes = np.flatnonzero(widths.any(axis=1)).tolist()
        return self._along(node, axes, lambda few: relax.Call(node.op, [few, *node.args[1:]], node.attrs))

    def repeated(self, node: relax.Call) -> Scaled | None:
        """Split what is broadcast."""
        shape = shape_of(self._emit(node))
        return self._moved(node, lambda few: relax.op.broadcast_to(few, shape), lambda scale: scale)

    def _chunk(self, item: relax.TupleGetItem) -> Scaled | None:
        """Split one of the parts that a value is cut into."""
        made = self._definition(item.tuple_value)
        if op_name(made) != "relax.split":
            return None

        def cut(few: Expr) -> Expr:
            return relax.TupleGetItem(self._emit(relax.Call(made.op, [few], made.attrs)), int(item.index))

        return self._along(made, [int(made.attrs.axis)], cut)

    def _along(self, node: relax.Call, axes: Collection[int], move: Callable[[Expr], Expr]) -> Scaled | None:
        rank = len(shape_of(node.args[0]))

        def of_scale(scale: Expr) -> Expr | None:
            sizes = _sizes(scale, rank)
            return scale if all(sizes[axis] == 1 for axis in axes) else None

        return self._moved(node, move, of_scale)

    def _of_rank(self, scale: Expr, rank: int) -> Expr:
        sizes = _sizes(scale, rank)
        return scale if sizes == shape_of(scale) else self._emit(relax.op.reshape(scale, sizes))


_RULES: dict[str, Callable[[Scales, relax.Call], Scaled | None]] = {
    "relax.multiply": Scales.multiplied,
    "relax.divide": Scales.divided,
    "relax.negative": Scales.negated,
    "relax.add": Scales.added,
    "relax.subtract": Scales.added,
    "relax.where": Scales.selected,
    "relax.permute_dims": Scales.permuted,
    **dict.fromkeys(_RESHAPES, Scales.reshaped),
    "relax.strided_slice": Scales.sliced,
    "relax.nn.pad": Scales.padded,
    "relax.broadcast_to": Scales.repeated,
}


def _sizes(scale: Expr, rank: int) -> tuple[int, ...]:
    shape = shape_of(scale)
    return (1,) * (rank - len(shape)) + shape


def _are_same(one: Sequence[Factor], other: Sequence[Factor]) -> bool:
    """Tell whether two values have the same scales, in any order."""
    left = list(other)
    for factor in one:
        same = [k for k, each in enumerate(left) if each.divides == factor.divides and each.value.same_as(factor.value)]
        if not same:
            return False
        del left[same[0]]
    return not left


def reshaped_sizes(
    sizes: Sequence[int], before: Sequence[int], after: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return what a scale of ``sizes``, for a value of shape ``before``, is broadcast to and reshaped to with it.

    Neighbouring axes that become other neighbouring axes stay one number if the scale has one; else it is repeated
    along all of them.
    """
    wide: list[int] = []
    found: list[int] = []
    k = m = 0
    while k < len(before) or m < len(after):
        first, start = k, m
        k, m = min(k + 1, len(before)), min(m + 1, len(after))
        while math.prod(before[first:k]) != math.prod(after[start:m]):
            if (math.prod(before[first:k]) < math.prod(after[start:m]) and k < len(before)) or m == len(after):
                k += 1
            else:
                m += 1
        is_one = math.prod(sizes[first:k]) == 1
        wide += sizes[first:k] if is_one else before[first:k]
        found += [1] * (m - start) if is_one else after[start:m]
    return tuple(wide), tuple(found)


def varying_axes(scaled: Scaled) -> set[int]:
    """Return the axes of a value along which one of its scales varies."""
    rank = len(shape_of(scaled.few))
    return {axis for scale in scaled.scales for axis, size in enumerate(_sizes(scale.value, rank)) if size > 1}
