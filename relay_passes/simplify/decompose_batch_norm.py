"""Turn a batch norm in inference mode into one multiplication and one addition per channel.

Before: ``y = batch_norm(x, gamma, beta, mean, var)[0]``.
After:  ``y = x * a + b`` with ``a = 1 / sqrt(var + eps) * gamma`` and ``b = beta - mean * a``, as ONNX Runtime has it,
or ``y = multiply_add(x, a, b)`` with ``b = multiply_add(-mean, a, beta)``, as PyTorch's CPU kernels round: once.

The difference is in the last bit, and decides ties: where ``x`` is the mean and beta is 0, one gives an exact zero and
the other what the rounding of ``mean * a`` left.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.analysis.multiply_add import multiply_add
from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, op_name


class _Decompose(Rewriter):
    def __init__(self, fused: bool) -> None:
        super().__init__()
        self._fused = fused

    def call(self, node: relax.Call) -> Expr:
        if op_name(node) != "relax.nn.batch_norm" or not all(is_constant(arg) for arg in node.args[1:]):
            return node
        x, *constants = node.args
        gamma, beta, mean, variance = (array_of(value) for value in constants)
        shape = [1] * len(shape_of(x))
        shape[int(node.attrs.axis)] = -1
        one, epsilon = variance.dtype.type(1), variance.dtype.type(node.attrs.epsilon)
        slope = one / np.sqrt(variance + epsilon) * gamma
        offset = multiply_add(-mean, slope, beta) if self._fused else beta - mean * slope
        factors = [constant(values.reshape(shape)) for values in (slope, offset)]
        return relax.Tuple([self._applied(x, *factors), *constants[2:]])

    def _applied(self, x: Expr, slope: Expr, offset: Expr) -> relax.Var:
        if self._fused:
            return self.emit(dialect.multiply_add(x, slope, offset))
        return self.emit(relax.op.add(self.emit(relax.op.multiply(x, slope)), offset))


def decompose_batch_norm(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite every batch norm whose statistics are constant, with two roundings."""
    return _Decompose(fused=False).run(module)


def fuse_batch_norm(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite every batch norm whose statistics are constant, with one rounding."""
    return _Decompose(fused=True).run(module)
