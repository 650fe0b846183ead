"""Compute a transposed convolution as one ordinary convolution for each phase of its stride, interleaved.

Before: ``y = conv2d_transpose(x, w, strides=s)``.
After:  ``s * s`` convolutions of ``x``, each with every s-th tap of ``w``, whose results interleave to ``y``.

Output row ``r = q s + f`` gets ``x[(r + padding - k d) / s] w[k]`` for the taps ``k`` that make this a whole number:
with ``g = gcd(d, s)``, every ``s / g``-th from the first, in steps of ``d / g`` back through ``x``. That is a
correlation with these taps in reverse, dilated by ``d / g``; a phase without taps is zero. Nothing is multiplied that
the transposed convolution would not, but for what a ragged last row of phases computes too much, which is cut off.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes.analysis.layers import layer_name
from relay_passes.analysis.part_names import PHASE
from relay_passes.dialect import dtype_of, shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, named, op_name

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class _Axis:
    """One axis of a transposed convolution's window."""

    kernel: int
    stride: int
    padding: int
    dilation: int


@dataclasses.dataclass(frozen=True)
class _Phase:
    """One axis of one phase: which taps it has, in reverse, and what of the input they meet.

    Parameters
    ----------
    start, step
        The taps, in the kernel's order.
    dilation
        Of the ordinary convolution.
    before, after
        Padding of the input; where negative, so much of it is left out.
    """

    start: int
    step: int
    dilation: int
    before: int
    after: int


def _phases(size: int, window: _Axis, out: int) -> list[_Phase | None] | None:
    """Return the phases of an axis, None for those without taps; None if one would leave out all of the input."""
    common = math.gcd(window.dilation, window.stride)
    step, dilation = window.stride // common, window.dilation // common
    length = -(-out // window.stride)
    found: list[_Phase | None] = []
    for phase in range(window.stride):
        shifts = [phase + window.padding - tap * window.dilation for tap in range(window.kernel)]
        start = next((tap for tap, shift in enumerate(shifts) if shift % window.stride == 0), None)
        if start is None:
            found.append(None)
            continue
        first, reach = shifts[start] // window.stride, (len(range(start, window.kernel, step)) - 1) * dilation
        before, after = reach - first, length - 1 + first - (size - 1)
        if size + min(before, 0) + min(after, 0) < 1:
            return None
        found.append(_Phase(start, step, dilation, before, after))
    return found


class _Split(Rewriter):
    def call(self, node: relax.Call) -> Expr:
        if op_name(node) != "relax.nn.conv2d_transpose" or not is_constant(node.args[1]):
            return node
        weight = _ordinary(array_of(node.args[1]), int(node.attrs.groups))
        _, _, height, width = shape_of(node.args[0])
        count, channels, out_h, out_w = shape_of(self.builder.normalize(node))
        vertical, horizontal = _axes(node)
        rows, columns = _phases(height, vertical, out_h), _phases(width, horizontal, out_w)
        if rows is None or columns is None:
            return node
        length, breadth = -(-out_h // vertical.stride), -(-out_w // horizontal.stride)
        split = (count, channels, length, 1, breadth, 1)
        parts = [
            self._zeros(split, node)
            if row is None or column is None
            else self.emit(relax.op.reshape(self._phase(node, weight, row, column, number), split))
            for number, (row, column) in enumerate(itertools.product(rows, columns))
        ]
        stride = horizontal.stride
        lines = [self._joined(parts[k : k + stride], 5) for k in range(0, len(parts), stride)]
        whole = (count, channels, length * vertical.stride, breadth * stride)
        made = relax.op.reshape(self._joined(lines, 3), whole)
        if whole[2:] == (out_h, out_w):
            return made
        return relax.op.strided_slice(self.emit(made), [2, 3], [0, 0], [out_h, out_w])

    def _phase(self, node: relax.Call, weight: Array, row: _Phase, column: _Phase, number: int) -> relax.Var:
        taps = weight[:, :, row.start :: row.step, column.start :: column.step]
        x = self._cropped(node.args[0], row, column)
        padding = [max(extent, 0) for extent in (row.before, column.before, row.after, column.after)]
        phase = relax.op.nn.conv2d(
            x,
            constant(taps[:, :, ::-1, ::-1]),
            padding=padding,
            dilation=[row.dilation, column.dilation],
            groups=int(node.attrs.groups),
        )
        return self.emit(named(phase, f"{layer_name(node)}{PHASE}{number}"))

    def _cropped(self, x: Expr, row: _Phase, column: _Phase) -> Expr:
        """Return what a phase reads of the input."""
        _, _, height, width = shape_of(x)
        starts = [max(-row.before, 0), max(-column.before, 0)]
        ends = [height + min(row.after, 0), width + min(column.after, 0)]
        if starts == [0, 0] and ends == [height, width]:
            return x
        return self.emit(relax.op.strided_slice(x, [2, 3], starts, ends))

    def _zeros(self, shape: tuple[int, ...], node: relax.Call) -> relax.Var:
        return self.emit(relax.op.zeros(shape, dtype_of(node.args[0])))

    def _joined(self, parts: list[relax.Var], axis: int) -> relax.Var:
        return parts[0] if len(parts) == 1 else self.emit(relax.op.concat(parts, axis))


def _axes(node: relax.Call) -> tuple[_Axis, _Axis]:
    attrs, kernel = node.attrs, shape_of(node.args[1])[2:]
    padding = list(attrs.padding)[:2]
    vertical, horizontal = (
        _Axis(*map(int, axis)) for axis in zip(kernel, attrs.strides, padding, attrs.dilation, strict=True)
    )
    return vertical, horizontal


def _ordinary(weight: Array, groups: int) -> Array:
    """Return ``(I, O / groups, ...)`` weights as ``(O, I / groups, ...)``."""
    inputs, outputs, *window = weight.shape
    apart = weight.reshape(groups, inputs // groups, outputs, *window).swapaxes(1, 2)
    return apart.reshape(groups * outputs, inputs // groups, *window)


def split_transposed_conv2d(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite transposed convolutions whose weight is constant."""
    return _Split().run(module)
