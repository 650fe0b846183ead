"""Turn a batch norm in inference mode into one multiplication and one addition per channel.

Before: ``y = batch_norm(x, gamma, beta, mean, var)[0]``.
After:  ``y = x * a + b`` with ``a = gamma / sqrt(var + eps)`` and ``b = beta - mean * a``, which is how PyTorch's CPU
kernel evaluates it.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, op_name


class _Decompose(Rewriter):
    def call(self, node: relax.Call) -> Expr:
        if op_name(node) != "relax.nn.batch_norm" or not all(is_constant(arg) for arg in node.args[1:]):
            return node
        x, *constants = node.args
        gamma, beta, mean, variance = (array_of(value) for value in constants)
        shape = [1] * len(shape_of(x))
        shape[int(node.attrs.axis)] = -1
        slope = gamma / np.sqrt(variance + variance.dtype.type(node.attrs.epsilon))
        offset = beta - mean * slope
        scaled = self.emit(relax.op.multiply(x, constant(slope.reshape(shape))))
        shifted = self.emit(relax.op.add(scaled, constant(offset.reshape(shape))))
        return relax.Tuple([shifted, *constants[2:]])


def decompose_batch_norm(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite every batch norm whose statistics are constant."""
    return _Decompose().run(module)
