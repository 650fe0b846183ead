"""Bring every product with a constant operand to one form: rows times a matrix, or groups of rows times a matrix each.

Before: ``matmul(x, w)`` with ``w`` a stack of equal matrices, as PyTorch expands a weight for an input of rank four.
After:  ``matmul(x, w[0])``.
Before: ``matmul(x, w)`` with a matrix for each head or expert, repeated for each sample or not.
After:  ``reshape(matmul(reshape(x, (A, G, R, K)), v))`` with ``(G, K, N)`` different matrices ``v``.
Before: ``matmul(w, x)``.
After:  ``permute_dims(matmul(permute_dims(x), permute_dims(w)))``.

Which matrices of a stack are equal is a matter of their values: however the stack was expanded, tiled and reshaped, it
is taken apart into axes along which it repeats, and axes along which it does not. A weight is then stored once, and
its multiply-accumulates are counted once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, op_name, with_span

Array = npt.NDArray[Any]
_MATRIX_RANK = 2


@dataclasses.dataclass(frozen=True)
class _Stack:
    """How the matrices of a stack repeat.

    Parameters
    ----------
    extents
        Of the axes that the stack is taken apart into, outermost first; their product is its length.
    is_own
        Whether the matrices differ along each of them.
    places
        Where the different matrices lie in the stack, in the order of the axes that are their own.
    """

    extents: tuple[int, ...]
    is_own: tuple[bool, ...]
    places: npt.NDArray[np.int64]

    @property
    def order(self) -> list[int]:
        """Repeating axes first, then those of the different matrices, then what repeats within all of them."""
        outer = [axis for axis in range(self._last) if not self.is_own[axis]]
        own = [axis for axis, is_own in enumerate(self.is_own) if is_own]
        return [*outer, *own, *range(self._last + 1, len(self.extents))]

    @property
    def inner(self) -> int:
        """How often each matrix repeats within all axes of the different ones."""
        return math.prod(self.extents[self._last + 1 :])

    @property
    def _last(self) -> int:
        return max(axis for axis, is_own in enumerate(self.is_own) if is_own)


def _stack_of(weight: Array, leading: Sequence[int]) -> _Stack:
    """Take the ``(..., K, N)`` matrices apart that are broadcast to the ``leading`` axes of a product."""
    outer = (1,) * (len(leading) + _MATRIX_RANK - weight.ndim) + weight.shape[:-2]
    numbers: dict[bytes, int] = {}
    rows = weight.reshape(math.prod(outer), -1)
    kinds = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows]).reshape(outer)
    places = np.arange(len(rows)).reshape(outer)
    extents, is_own = list(leading), [extent > 1 for extent in outer]
    while (found := _repetition(kinds, is_own)) is not None:
        axis, split = found
        first = (*(slice(None),) * (axis + 1), slice(0, 1))
        kinds, places = (_split(each, axis, split)[first] for each in (kinds, places))
        extents[axis : axis + 1] = split
        is_own[axis : axis + 1] = [True, False, True]
    kept = [axis for axis, extent in enumerate(extents) if extent > 1]
    return _Stack(
        tuple(extents[axis] for axis in kept),
        tuple(is_own[axis] for axis in kept),
        places.reshape(-1),
    )


def _repetition(kinds: npt.NDArray[np.int64], is_own: Sequence[bool]) -> tuple[int, tuple[int, int, int]] | None:
    """Return an axis that falls into three of which the middle one repeats, and their extents; None if none does."""
    for axis, extent in enumerate(kinds.shape):
        if not is_own[axis]:
            continue
        for times in sorted(_divisors(extent) - {1}, reverse=True):
            for outer in sorted(_divisors(extent // times)):
                split = (outer, times, extent // times // outer)
                parts = np.moveaxis(_split(kinds, axis, split), axis + 1, 0)
                if (parts == parts[:1]).all():
                    return axis, split
    return None


def _split(values: npt.NDArray[np.int64], axis: int, split: tuple[int, int, int]) -> npt.NDArray[np.int64]:
    return values.reshape((*values.shape[:axis], *split, *values.shape[axis + 1 :]))


def _divisors(number: int) -> set[int]:
    return {divisor for divisor in range(1, number + 1) if number % divisor == 0}


class _Settle(Rewriter):
    def call(self, node: relax.Call) -> Expr:
        if op_name(node) == "relax.broadcast_to":
            source = node.args[0]
            return source if shape_of(source) == shape_of(self.builder.normalize(node)) else node
        if op_name(node) != "relax.matmul":
            return node
        left, right = node.args
        if is_constant(right) == is_constant(left):
            return node
        out = shape_of(self.builder.normalize(node))
        # A vector is a row on the left, a column on the right.
        a = self._shaped(left, (1, *shape_of(left)) if len(shape_of(left)) == 1 else shape_of(left))
        b = self._shaped(right, (*shape_of(right), 1) if len(shape_of(right)) == 1 else shape_of(right))
        if is_constant(b):
            made = self._product(node, a, array_of(b))
        else:
            turned = self._product(node, self._swapped(b), array_of(a).swapaxes(-1, -2))
            made = self._swapped(turned)
        return self._shaped(made, out)

    def _product(self, node: relax.Call, x: Expr, weight: Array) -> Expr:
        """Return the ``(..., M, K)`` rows times the ``(..., K, N)`` matrices."""
        leading = np.broadcast_shapes(shape_of(x)[:-2], weight.shape[:-2])
        stack = _stack_of(weight, leading)
        rows, columns = shape_of(x)[-2], weight.shape[-1]
        matrices = weight.reshape(-1, *weight.shape[-2:])[stack.places]
        if len(matrices) == 1:
            product = self._matmul(node, x, matrices[0])
            return self._broadcast(product, (*leading, rows, columns))
        x = self._broadcast(x, (*leading, *shape_of(x)[-2:]))
        order, rank = stack.order, len(stack.extents)
        split = self._shaped(x, (*stack.extents, rows, weight.shape[-2]))
        moved = self._permuted(split, [*order, rank, rank + 1])
        groups, inner = len(matrices), stack.inner
        samples = math.prod(leading) // groups // inner
        grouped = self._shaped(moved, (samples, groups, inner * rows, weight.shape[-2]))
        product = self._matmul(node, grouped, matrices)
        shaped = self._shaped(product, (*(stack.extents[axis] for axis in order), rows, columns))
        back = self._permuted(shaped, [*map(order.index, range(rank)), rank, rank + 1])
        return self._shaped(back, (*leading, rows, columns))

    def _matmul(self, node: relax.Call, x: Expr, weight: Array) -> Expr:
        product = relax.op.matmul(x, constant(weight), node.attrs.out_dtype)
        return self.emit(with_span(product, node.span))

    def _shaped(self, value: Expr, shape: Sequence[int]) -> Expr:
        if shape_of(value) == tuple(shape):
            return value
        if is_constant(value):
            return constant(array_of(value).reshape(shape))
        return self.emit(relax.op.reshape(value, list(shape)))

    def _broadcast(self, value: Expr, shape: Sequence[int]) -> Expr:
        return value if shape_of(value) == tuple(shape) else self.emit(relax.op.broadcast_to(value, list(shape)))

    def _swapped(self, value: Expr) -> Expr:
        rank = len(shape_of(value))
        return self._permuted(value, [*range(rank - 2), rank - 1, rank - 2])

    def _permuted(self, value: Expr, axes: list[int]) -> Expr:
        """Return a value with its axes in another order; a turn of a turn is one, or none."""
        made = self.definition(value)
        if op_name(made) == "relax.permute_dims" and made.attrs.axes is not None:
            below = [int(axis) for axis in made.attrs.axes]
            value, axes = made.args[0], [below[axis] for axis in axes]
        return value if axes == sorted(axes) else self.emit(relax.op.permute_dims(value, axes))


def settle_products(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite products with a constant operand, and leave out broadcasts that change nothing."""
    return _Settle().run(module)
