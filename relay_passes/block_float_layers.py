"""Lay the weights of float layers out for the kernels that the binary layers use.

Before: ``nn.conv2d(x, w)`` NHWC / OHWI, ``matmul(x, w)``. After: ``bnn.blocked_conv2d`` / ``bnn.blocked_dense`` with
output channels innermost, a vector at a time. Grouped convolutions and products of activations stay as they are.
"""

from __future__ import annotations

import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.binarize import window_of_nhwc
from relay_passes.layers import weight_of
from relay_passes.pack_layers import block_channels
from relay_passes.rewrite import Expr, Rewriter, constant, op_name
from schedules.isa import Isa

_CONV_RANK = 4
_MATRIX_RANK = 2


class _Block(Rewriter):
    def __init__(self, isa: Isa) -> None:
        super().__init__()
        self._lanes = isa.float_lanes

    def call(self, node: relax.Call) -> Expr:
        if op_name(node) not in {"relax.nn.conv2d", "relax.matmul"}:
            return node
        weight = weight_of(node)
        if weight is None or weight.dtype != "float32" or dialect.dtype_of(node.args[0]) != "float32":
            return node
        blocked = constant(block_channels(weight, self._lanes))
        if op_name(node) == "relax.matmul":
            is_matrix = weight.ndim == _MATRIX_RANK
            return dialect.blocked_dense(node.args[0], blocked, len(weight)) if is_matrix else node
        if int(node.attrs.groups) != 1 or str(node.attrs.data_layout) != "NHWC":
            return node
        return dialect.blocked_conv2d(node.args[0], blocked, window_of_nhwc(node), len(weight))


def block_float_layers(module: tvm.IRModule, isa: Isa) -> tvm.IRModule:
    """Rewrite float layers with constant weights for the vector width of ``isa``."""
    return _Block(isa).run(module)
