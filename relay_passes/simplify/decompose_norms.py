"""Turn norms over channels into arithmetic, which layers take into their kernels.

Before: ``y = batch_norm(x, gamma, beta, mean, var)[0]`` in inference mode.
After:  ``y = x * a + b`` with ``a = 1 / sqrt(var + eps) * gamma`` and ``b = beta - mean * a``, as ONNX Runtime has it,
or ``y = multiply_add(x, a, b)`` with ``b = multiply_add(-mean, a, beta)``, as PyTorch's CPU kernels round: once.

The difference is in the last bit, and decides ties: where ``x`` is the mean and beta is 0, one gives an exact zero and
the other what the rounding of ``mean * a`` left.

Before: ``y = instance_norm(x, gamma, beta)``, which has its statistics from ``x``, over any axes.
After:  ``y = d * rsqrt(mean(d * d) + eps) * gamma + beta`` with ``d = x - mean(x)``. TVM takes the difference of
``mean(x * x)`` and the squared mean, which for means far from zero has few digits left.

PyTorch computes the instance norm of a batch as that of one sample with all channels; where it does, the batch stays,
so that channels can go last: ``reshape(instance_norm(reshape(x, (1, N * C, H, W))), (N, C, H, W))``.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.analysis.multiply_add import multiply_add
from relay_passes.dialect import dtype_of, shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, op_name

_BATCH_AND_CHANNELS = 2


class _BatchNorm(Rewriter):
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


class _Norms(_BatchNorm):
    def call(self, node: relax.Call) -> Expr:
        match op_name(node):
            case "relax.nn.instance_norm" if all(is_constant(arg) for arg in node.args[1:]):
                return self._instance_norm(node)
            case "relax.reshape":
                below = self.definition(node.args[0])
                if op_name(below) == "relax.reshape" and shape_of(below.args[0]) == shape_of(
                    self.builder.normalize(node)
                ):
                    return below.args[0]
        return super().call(node)

    def _instance_norm(self, node: relax.Call) -> Expr:
        x, gamma, beta = node.args[0], *(array_of(value) for value in node.args[1:])
        axes = sorted(int(axis) % len(shape_of(x)) for axis in node.attrs.axes)
        channel = int(node.attrs.channel_axis) % len(shape_of(x))
        source = self._batched(x, axes, channel)
        if source is not None:
            x, axes = source, [axis for axis in axes if axis]
        count = shape_of(x)[0]
        # With a batch, each sample has the same parameters, or its own.
        shape = [1] * len(shape_of(x))
        shape[channel] = shape_of(x)[channel]
        shape[0] = 1 if source is None else count
        scales = [_shared(value.reshape(shape)) for value in (gamma, beta)]
        normalized = self._normalized(x, axes, float(node.attrs.epsilon))
        scaled = self.emit(relax.op.multiply(normalized, constant(scales[0])))
        shifted = relax.op.add(scaled, constant(scales[1]))
        return shifted if source is None else relax.op.reshape(self.emit(shifted), shape_of(node.args[0]))

    def _batched(self, x: Expr, axes: list[int], channel: int) -> Expr | None:
        """Return the batch whose channels were laid side by side in one sample, None if there was none."""
        made = self.definition(x)
        if op_name(made) != "relax.reshape" or channel != 1 or shape_of(x)[0] != 1:
            return None
        before, after = shape_of(made.args[0]), shape_of(x)
        same = len(before) == len(after) and before[_BATCH_AND_CHANNELS:] == after[_BATCH_AND_CHANNELS:]
        return made.args[0] if same and axes == [0, *range(_BATCH_AND_CHANNELS, len(after))] else None

    def _normalized(self, x: Expr, axes: list[int], epsilon: float) -> relax.Var:
        mean = self.emit(relax.op.mean(x, axes, keepdims=True))
        centred = self.emit(relax.op.subtract(x, mean))
        squares = self.emit(relax.op.multiply(centred, centred))
        variance = self.emit(relax.op.mean(squares, axes, keepdims=True))
        shifted = self.emit(relax.op.add(variance, relax.const(epsilon, dtype_of(x))))
        return self.emit(relax.op.multiply(centred, self.emit(relax.op.rsqrt(shifted))))


def _shared(values: np.ndarray) -> np.ndarray:
    """Return the parameters of one sample where all have the same."""
    return values[:1] if (values == values[:1]).all() else values


def decompose_norms(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite every norm over channels whose parameters are constant; batch norms with two roundings."""
    return _Norms(fused=False).run(module)


def fuse_batch_norm(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite every batch norm whose statistics are constant, with one rounding."""
    return _BatchNorm(fused=True).run(module)
