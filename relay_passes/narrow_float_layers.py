"""Compute the layers that stay float on bytes: weights rounded now, activations at run time.

Before: ``nn.conv2d(x, w)`` NHWC / OHWI, ``matmul(x, w)``.
After:  ``q = bnn.quantize(x, s)`` with ``s = bnn.activation_scale(x)``, one for each image or row, and
        ``(bnn.int8_conv2d(q, v) - correction) * t * s`` with a scale ``t`` for each output channel.

What :mod:`schedules.int8` derives. Weights of two values per output channel stay, since they are stored as bits; so do
grouped convolutions, products of activations, and sums of more terms than int32 holds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.binarize import window_of_nhwc
from relay_passes.block_float_layers import two_values, weight_to_block
from relay_passes.rewrite import Expr, Rewriter, constant, with_span
from schedules import int8
from schedules.dot import Dot
from schedules.tile import divisors

Array = npt.NDArray[Any]
_MATRIX_RANK = 2
#: Of the chunks in which maxima are taken: eight vectors of AVX-512 in flight.
_MOST_MAXIMA = 128


class _Narrow(Rewriter):
    def __init__(self, dot: Dot) -> None:
        super().__init__()
        self._dot = dot
        self._scales: dict[tuple[Expr, int], relax.Var] = {}

    def call(self, node: relax.Call) -> Expr:
        weight = weight_to_block(node)
        if weight is None or two_values(weight) is not None or weight[0].size > int8.MOST_PRODUCTS:
            return node
        x, channels = node.args[0], len(weight)
        scales, rounded = quantized_weight(weight)
        if weight.ndim == _MATRIX_RANK:
            *outer, depth = dialect.shape_of(x)
            if not outer:
                return node
            samples = math.prod(outer)
            blocked = int8.blocked_weights(rounded, None, self._dot)
            length = blocked.shape[1] * self._dot.group
            scale = self._scale(x, samples)
            q = self._quantized(x, scale, (samples, 1, depth), (0, 0), 0, length)
            q = self.emit(relax.op.reshape(q, (*outer, length)))
            product = dialect.int8_dense(q, constant(blocked), channels)
            per_sample = (*outer, 1)
        else:
            samples, height, width, depth = dialect.shape_of(x)
            window = window_of_nhwc(node)
            top, left, bottom, _ = window.padding
            blocked = int8.blocked_weights(rounded, window, self._dot)
            scale = self._scale(x, samples)
            length = int8.row_length(window, depth, width, self._dot)
            q = self._quantized(x, scale, (samples, height, width * depth), (top, bottom), left * depth, length)
            product = dialect.int8_conv2d(q, constant(blocked), window, (height, width, depth), channels)
            per_sample = (samples, 1, 1, 1)
        total: Expr = self.emit(with_span(product, node.span))
        if self._dot.zero_point:
            correction = self._dot.zero_point * rounded.reshape(channels, -1).sum(axis=1, dtype=np.int32)
            total = self.emit(relax.op.subtract(total, constant(correction)))
        result = self.emit(relax.op.astype(total, "float32"))
        result = self.emit(relax.op.multiply(result, constant(scales)))
        return relax.op.multiply(result, self.emit(relax.op.reshape(scale, per_sample)))

    def _scale(self, x: Expr, samples: int) -> relax.Var:
        """Return the scale of every sample, found once however many layers read the tensor."""
        if (x, samples) not in self._scales:
            numbers = math.prod(dialect.shape_of(x)) // samples
            lanes = max(lanes for lanes in divisors(numbers) if lanes <= _MOST_MAXIMA)
            chunks = self.emit(relax.op.reshape(x, (samples, numbers // lanes, lanes)))
            self._scales[x, samples] = self.emit(dialect.activation_scale(chunks))
        return self._scales[x, samples]

    def _quantized(
        self, x: Expr, scale: Expr, shape: tuple[int, int, int], rows: tuple[int, int], start: int, length: int
    ) -> relax.Var:
        flat = self.emit(relax.op.reshape(x, shape))
        return self.emit(dialect.quantize(flat, scale, rows, start, length, self._dot))


def quantized_weight(weight: Array) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Return the scale of each output channel, ``max|w| / 127``, and the weights in units of it."""
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scales = np.where(largest > 0, largest / int8.LARGEST, 1).astype(np.float32)
    rounded = np.rint(weight / scales.reshape(-1, *[1] * (weight.ndim - 1)))
    return scales, np.clip(rounded, -int8.LARGEST, int8.LARGEST).astype(np.int8)


def narrow_float_layers(module: tvm.IRModule, dot: Dot) -> tvm.IRModule:
    """Rewrite float layers with constant weights to products of bytes, by the instruction of the target."""
    return _Narrow(dot).run(module)
