"""Compute at compile time whatever depends on constants alone.

Before: ``scale = reshape(const, (1, C, 1, 1))``. After: ``scale`` is a constant.
Before: ``y = x + 0 * noise(x)``.                 After: ``y = x``.
Before: ``where(x >= 0, full_like(x, 1), z)``.    After: ``where(x >= 0, 1, z)``.
Before: ``x + broadcast_to(b, shape of x)``.      After: ``x + b``, as small as it was written.
TVM's own FoldConstant compiles every operator; on a ResNet-18 NumPy is twenty times as fast.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from relay_passes.analysis.evaluate import ELEMENTWISE, Array, can_evaluate, evaluate
from relay_passes.dialect import dtype_of, shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, is_tensor, op_name

_FILLED = {"relax.ones_like": 1, "relax.zeros_like": 0}


class _Fold(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[Expr, Array | None] = {}

    def call(self, node: relax.Call) -> Expr:
        node = self._with_small_constants(self._with_numbers(node))
        neutral = self._without_zeros(node)
        return self._folded(node) if neutral is None else neutral

    def _with_numbers(self, node: relax.Call) -> relax.Call:
        """Return an elementwise call with one number in place of each tensor of it, where another has its shape."""
        if op_name(node) not in ELEMENTWISE:
            return node
        numbers = [None if is_constant(arg) or not is_tensor(arg) else self._number(arg) for arg in node.args]
        if all(number is None for number in numbers):
            return node
        others = [arg for arg, number in zip(node.args, numbers, strict=True) if number is None and is_tensor(arg)]
        if shape_of(self.builder.normalize(node)) not in map(shape_of, others):
            return node
        args = [
            arg if number is None else relax.const(number, str(number.dtype))
            for arg, number in zip(node.args, numbers, strict=True)
        ]
        return relax.Call(node.op, args, node.attrs, node.ty_args, node.span)

    def _with_small_constants(self, node: relax.Call) -> relax.Call:
        """Return an elementwise call whose constants repeat no values that broadcasting repeats."""
        variables = [arg for arg in node.args if is_tensor(arg) and not is_constant(arg)]
        if op_name(node) not in ELEMENTWISE or not variables:
            return node
        shape = np.broadcast_shapes(*map(shape_of, variables))
        args = [_without_repetition(arg, shape) if is_constant(arg) and is_tensor(arg) else arg for arg in node.args]
        return relax.Call(node.op, args, node.attrs, node.ty_args, node.span)

    def _number(self, value: Expr) -> Array | None:
        """Return the number that a tensor consists of; None if there are several, or it is not known."""
        if value not in self._numbers:
            self._numbers[value] = self._found_number(value)
        return self._numbers[value]

    def _found_number(self, value: Expr) -> Array | None:
        made = self.definition(value)
        name, dtype = op_name(made), dtype_of(value)
        if is_constant(made):
            return array_of(made) if not shape_of(made) else None
        if name in _FILLED:
            return np.array(_FILLED[name], dtype)
        if name == "relax.full_like":
            return array_of(made.args[1]).astype(dtype) if is_constant(made.args[1]) else None
        if name not in ELEMENTWISE:
            return None
        numbers = [self._number(arg) for arg in made.args if is_tensor(arg)]
        known = [number for number in numbers if number is not None]
        return evaluate(made, known) if len(known) == len(numbers) else None

    def _without_zeros(self, node: relax.Call) -> Expr | None:
        """Return what a product with zeros or a sum with them comes to; zero times infinity is taken for zero."""
        name = op_name(node)
        if name == "relax.bnn.multiply_add" and is_constant(node.args[2]) and not array_of(node.args[2]).any():
            return relax.op.multiply(*node.args[:2])
        if name not in {"relax.multiply", "relax.add"}:
            return None
        for other, value in (tuple(node.args), tuple(node.args)[::-1]):
            if is_constant(value) and not is_constant(other) and not array_of(value).any():
                made = self.builder.normalize(node)
                if name == "relax.multiply":
                    return constant(np.zeros(shape_of(made), dtype_of(made)))
                return other if shape_of(other) == shape_of(made) else None
        return None

    def _folded(self, node: relax.Call) -> Expr:
        tensors = [arg for arg in node.args if is_tensor(arg)]
        if not tensors or not all(is_constant(arg) for arg in tensors) or not can_evaluate(node):
            return node
        return constant(evaluate(node, [array_of(arg) for arg in tensors]))


def _without_repetition(value: Expr, shape: tuple[int, ...]) -> Expr:
    array = array_of(value)
    small = without_repetition(array, shape)
    return value if small is array else constant(small)


def without_repetition(array: Array, shape: tuple[int, ...]) -> Array:
    """Return an array with one entry of each axis along which all are equal, if ``shape`` has its extent there.

    What is left is the array again where it is broadcast beside something of that shape: one number, if all are equal.
    An array with entries along one axis only is left alone. It has a number for each channel, whatever the numbers are.
    """
    if sum(extent > 1 for extent in array.shape) <= 1:
        return array
    small = array
    beside = (1,) * (array.ndim - len(shape)) + shape[max(0, len(shape) - array.ndim) :]
    for axis, extent in enumerate(beside):
        first = small.take([0], axis)
        # By their bits: a zero is not minus zero, and what is no number equals itself.
        if 1 < array.shape[axis] == extent and (_bits(small) == _bits(first)).all():
            small = first
    return small.reshape(()) if small.size == 1 and array.ndim <= len(shape) else small


def _bits(array: Array) -> Array:
    return array if array.dtype == np.bool_ else array.view(f"u{array.dtype.itemsize}")


def fold_constants(module: tvm.IRModule) -> tvm.IRModule:
    """Replace calls whose tensor operands are all constant by their values."""
    return _Fold().run(module)
