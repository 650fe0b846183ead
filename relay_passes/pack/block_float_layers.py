"""Lay the weights of float layers out for the kernels that the binary layers use.

Before: ``nn.conv2d(x, w)`` NHWC / OHWI, ``matmul(x, w)``. After: ``bnn.blocked_conv2d`` / ``bnn.blocked_dense`` with
output channels innermost, a vector at a time. Weights of two values per output channel are stored as bits, in
``bnn.two_valued_conv2d`` / ``bnn.two_valued_dense``; where the input is an image whose planes were transposed for the
layer, ``bnn.planar_conv2d`` takes them as they were. Grouped convolutions and products of activations stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.analysis.images import MOST_PLANES, planes_behind
from relay_passes.analysis.layers import weight_of
from relay_passes.analysis.weight_planes import weight_planes
from relay_passes.canonicalize.binarize import window_of_nhwc
from relay_passes.pack.pack_layers import block_channels
from relay_passes.rewrite import Expr, Rewriter, constant, op_name
from schedules.machines.isa import Isa

Array = npt.NDArray[Any]
_MATRIX_RANK = 2
#: Channels of fewer weights take two values by chance, and their values take more room than their weights.
_LEAST_DEPTH = 8


class _Block(Rewriter):
    def __init__(self, isa: Isa) -> None:
        super().__init__()
        self._isa, self._lanes = isa, isa.float_lanes

    def call(self, node: relax.Call) -> Expr:
        weight = weight_to_block(node)
        if weight is None:
            return node
        is_matrix = weight.ndim == _MATRIX_RANK
        x, channels, found = node.args[0], len(weight), two_values(weight)
        if found is not None:
            stored = self._stored_as_bits(*found)
            if is_matrix:
                return dialect.two_valued_dense(x, *stored, channels)
            return dialect.two_valued_conv2d(x, *stored, window_of_nhwc(node), channels)
        blocked = constant(block_channels(weight, self._lanes))
        if is_matrix:
            return dialect.blocked_dense(x, blocked, channels)
        planes = planes_behind(self.definition(x)) if weight.shape[-1] <= MOST_PLANES else None
        if planes is not None and self._isa.broadcasts_from_memory:
            return dialect.planar_conv2d(planes, blocked, window_of_nhwc(node), channels)
        return dialect.blocked_conv2d(x, blocked, window_of_nhwc(node), channels)

    def _stored_as_bits(self, is_high: Array, values: Array) -> tuple[Expr, Expr]:
        """Return blocked weights as bits, a lane each, and the two values of every channel, missing ones included."""
        bits = np.packbits(block_channels(is_high, self._lanes), axis=-1, bitorder="little")
        words = np.ascontiguousarray(bits).view(f"<u{bits.shape[-1]}")[..., 0]
        return constant(words), constant(np.pad(values, ((0, 0), (0, -len(is_high) % self._lanes))))


def weight_to_block(node: relax.Call) -> Array | None:
    """Return a float layer's weight, None where the kernels have no place for it."""
    if op_name(node) not in {"relax.nn.conv2d", "relax.matmul"} or dialect.dtype_of(node.args[0]) != "float32":
        return None
    weight = weight_of(node)
    if weight is None or weight.dtype != "float32":
        return None
    if op_name(node) == "relax.matmul":
        return weight if len(dialect.shape_of(node.args[1])) == _MATRIX_RANK else None
    return weight if int(node.attrs.groups) == 1 and str(node.attrs.data_layout) == "NHWC" else None


def two_values(weight: Array) -> tuple[Array, Array] | None:
    """Return where an ``(O, ...)`` weight takes its channel's higher value, and the channels' values, ``(2, O)``.

    None if a channel takes more. The rounding that the straight-through idiom leaves is taken for what it is.
    """
    rows = weight.reshape(len(weight), -1)
    if rows.shape[1] < _LEAST_DEPTH:
        return None
    low, high = rows.min(axis=1), rows.max(axis=1)
    if ((rows == low[:, None]) | (rows == high[:, None])).all():
        return (rows == high[:, None]).reshape(weight.shape), np.stack([low, high])
    planes = weight_planes(weight)
    if isinstance(planes, str) or len(planes) > 1:
        return None
    return planes.signs[0] > 0, planes.offset + np.stack([-planes.scales[0], planes.scales[0]])


def block_float_layers(module: tvm.IRModule, isa: Isa) -> tvm.IRModule:
    """Rewrite float layers with constant weights for the vector width of ``isa``."""
    return _Block(isa).run(module)
