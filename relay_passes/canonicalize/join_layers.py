"""Compute layers of one input, whose results are concatenated, as one layer of all their channels.

Before: ``concat(conv(x, u) * a + y, conv(x, v) * b + y)``, as ReActNet doubles its channels.
After:  ``conv(x, concat(u, v)) * concat(a, b) + tile(y)``.

The input is read once, the results are written where they belong, and what follows sees one tensor. Only where nobody
else reads the branches, which differ in their constants alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
import tvm_ffi
from tvm import relax

from relay_passes.analysis.evaluate import ELEMENTWISE
from relay_passes.analysis.layers import groups_of, is_layer, layer_name, weight_of
from relay_passes.analysis.part_names import BESIDE
from relay_passes.analysis.weight_planes import WeightPlanes, weight_planes
from relay_passes.dialect import shape_of
from relay_passes.rewrite import (
    Expr,
    Rewriter,
    array_of,
    constant,
    is_constant,
    is_tensor,
    named,
    op_name,
    readers,
)

Array = npt.NDArray[Any]
_MATRIX_RANK = 2


class _Join(Rewriter):
    def begin(self, function: relax.Function) -> None:
        """Count who reads what."""
        self._counts = readers(function)
        self._is_read_once: set[relax.Var] = set()

    def copy(self, binding: relax.VarBinding) -> None:
        super().copy(binding)
        new = self.renamed[binding.var]
        if self._counts[binding.var] == 1 and isinstance(new, relax.Var):
            self._is_read_once.add(new)

    def call(self, node: relax.Call) -> Expr:
        parts = self._concatenated(node)
        joined = self._joined(parts, [shape_of(part)[-1] for part in parts]) if parts else None
        return node if joined is None else joined

    def _concatenated(self, node: relax.Call) -> list[Expr]:
        """Return what a call puts side by side, if layers may be behind it."""
        if op_name(node) != "relax.concat":
            return []
        joined = self.definition(node.args[0])
        parts = list(joined.fields) if isinstance(joined, relax.Tuple) else []
        if not len(set(parts)) == len(parts) > 1:
            return []
        rank = len(shape_of(parts[0]))
        return parts if int(node.attrs.axis) % rank == rank - 1 else []

    def _joined(self, parts: Sequence[Expr], widths: Sequence[int]) -> Expr | None:
        """Return one call for alike calls, None if they are not alike."""
        calls = [self.definition(part) for part in parts]
        first = calls[0]
        if not all(part in self._is_read_once for part in parts) or not all(_is_alike(first, call) for call in calls):
            return None
        if is_layer(first):
            return self._layer(calls)
        if op_name(first) not in ELEMENTWISE:
            return None
        args = [self._operand(args, widths) for args in zip(*(call.args for call in calls), strict=True)]
        if any(arg is None for arg in args):
            return None
        return self.emit(relax.Call(first.op, args, first.attrs, first.ty_args))

    def _operand(self, args: Sequence[Expr], widths: Sequence[int]) -> Expr | None:
        """Return what stands for the operands of alike calls, None if there is no such."""
        first = args[0]
        if not is_tensor(first):
            return first if all(tvm_ffi.structural_equal(first, arg) for arg in args) else None
        if all(map(is_constant, args)):
            return _constants([array_of(arg) for arg in args], widths)
        if all(arg.same_as(first) for arg in args) and shape_of(first)[-1:] in {(), (1,)}:
            return first
        if any(is_constant(arg) or shape_of(arg)[-1:] != (width,) for arg, width in zip(args, widths, strict=True)):
            return None
        if not all(arg.same_as(first) for arg in args):
            return self._joined(args, widths)
        return self.emit(relax.op.tile(first, [*[1] * (len(shape_of(first)) - 1), len(args)]))

    def _layer(self, calls: Sequence[relax.Call]) -> Expr | None:
        """Return a layer of all channels, None if they would be computed in different ways, or are not known."""
        first = calls[0]
        weights = [weight_of(call) for call in calls]
        known = [weight for weight in weights if weight is not None]
        if len(known) < len(weights) or any(not call.args[0].same_as(first.args[0]) for call in calls):
            return None
        if groups_of(first) > 1 or len({(weight.shape[1:], weight.dtype) for weight in known}) > 1:
            return None
        is_matrix = op_name(first) == "relax.matmul" and len(shape_of(first.args[1])) == _MATRIX_RANK
        if not is_matrix and (op_name(first) != "relax.nn.conv2d" or str(first.attrs.data_layout) != "NHWC"):
            return None
        weight = np.concatenate(known)
        kind = _kind(weight)
        if any(_kind(part) != kind for part in known):
            return None
        joined = relax.Call(first.op, [first.args[0], constant(weight.T if is_matrix else weight)], first.attrs)
        return self.emit(named(joined, BESIDE.join(map(layer_name, calls))))


def _is_alike(one: Expr, other: Expr) -> bool:
    return (
        isinstance(one, relax.Call)
        and isinstance(other, relax.Call)
        and one.op.same_as(other.op)
        and len(one.args) == len(other.args)
        and bool(tvm_ffi.structural_equal(one.attrs, other.attrs))
    )


def _kind(weight: Array) -> tuple[int, bool] | None:
    """Return what a layer's cost depends on: its weight's planes, and whether they have an offset; None if float."""
    planes = weight_planes(weight)
    return (len(planes), bool(planes.offset.any())) if isinstance(planes, WeightPlanes) else None


def _constants(values: Sequence[Array], widths: Sequence[int]) -> Expr | None:
    """Return per-channel constants, or single numbers, side by side; a number that all share stays one."""
    first = values[0]
    if len({(value.ndim, value.shape[:-1], value.dtype) for value in values}) > 1:
        return None
    if first.shape[-1:] in {(), (1,)} and all(value.tobytes() == first.tobytes() for value in values):
        return constant(first)
    if first.ndim == 0:
        values = [value[None] for value in values]
    wide = [
        np.broadcast_to(value, (*value.shape[:-1], width)) if value.shape[-1] == 1 else value
        for value, width in zip(values, widths, strict=True)
    ]
    if any(value.shape[-1] != width for value, width in zip(wide, widths, strict=True)):
        return None
    return constant(np.concatenate(wide, axis=-1))


def join_layers(module: tvm.IRModule) -> tvm.IRModule:
    """Join layers of a channels-last module that are concatenated."""
    return _Join().run(module)
