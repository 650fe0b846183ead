"""Compute a transposed convolution as one ordinary convolution for each phase of its stride, interleaved.

Before: ``y = conv2d_transpose(x, w, strides=s)``.
After:  ``s * s`` convolutions of ``x``, each with every s-th tap of ``w``, whose results interleave to ``y``.

Output row ``r = q s + f`` gets ``x[q + c - j] w[a + j s]`` with ``c, a = divmod(f + padding, s)``: a correlation of
``x`` with the taps ``a, a + s, …`` in reverse. Nothing is multiplied that the transposed convolution would not.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import tvm
from tvm import relax

from relay_passes.analysis.layers import layer_name
from relay_passes.analysis.part_names import PHASE
from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, named, op_name


@dataclasses.dataclass(frozen=True)
class _Phase:
    """One axis of one phase: the taps ``start, start + stride, …`` reversed, and the padding they need."""

    start: int
    before: int
    after: int


def _phases(size: int, kernel: int, stride: int, padding: int, out: int) -> list[_Phase] | None:
    """Return the phases of an axis, or None if they are of different length or need cropping."""
    found = []
    for phase in range(stride):
        shift, start = divmod(phase + padding, stride)
        taps = len(range(start, kernel, stride))
        before = taps - 1 - shift
        found.append(_Phase(start, before, out // stride - size + taps - 1 - before))
        if out % stride or not taps or before < 0 or found[-1].after < 0:
            return None
    return found


class _Split(Rewriter):
    def call(self, node: relax.Call) -> Expr:
        if op_name(node) != "relax.nn.conv2d_transpose" or not is_constant(node.args[1]):
            return node
        attrs = node.attrs
        if int(attrs.groups) != 1 or any(int(extent) != 1 for extent in attrs.dilation):
            return node
        _, _, height, width = shape_of(node.args[0])
        count, channels, out_h, out_w = shape_of(self.builder.normalize(node))
        weight = array_of(node.args[1])
        (stride_h, stride_w), (top, left) = map(int, attrs.strides), map(int, list(attrs.padding)[:2])
        rows = _phases(height, weight.shape[2], stride_h, top, out_h)
        columns = _phases(width, weight.shape[3], stride_w, left, out_w)
        if rows is None or columns is None:
            return node
        parts = [
            self._phase(node, weight[:, :, row.start :: stride_h, column.start :: stride_w], row, column, number)
            for number, (row, column) in enumerate(itertools.product(rows, columns))
        ]
        split = (count, channels, out_h // stride_h, 1, out_w // stride_w, 1)
        parts = [self.emit(relax.op.reshape(part, split)) for part in parts]
        lines = [self._joined(parts[k : k + stride_w], 5) for k in range(0, len(parts), stride_w)]
        return relax.op.reshape(self._joined(lines, 3), (count, channels, out_h, out_w))

    def _phase(self, node: relax.Call, taps: np.ndarray, row: _Phase, column: _Phase, number: int) -> relax.Var:
        weight = constant(taps[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
        padding = [row.before, column.before, row.after, column.after]
        phase = relax.op.nn.conv2d(node.args[0], weight, padding=padding)
        return self.emit(named(phase, f"{layer_name(node)}{PHASE}{number}"))

    def _joined(self, parts: list[relax.Var], axis: int) -> relax.Var:
        return parts[0] if len(parts) == 1 else self.emit(relax.op.concat(parts, axis))


def split_transposed_conv2d(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite transposed convolutions whose phases are alike."""
    return _Split().run(module)
