"""Compute the layers that stay float on narrower numbers: weights rounded now, activations at run time.

Before: ``nn.conv2d(x, w)`` NHWC / OHWI, ``matmul(x, w)``.
After, on bytes:     ``q = bnn.quantize(x, s)`` with ``s = bnn.activation_scale(x)``, one for each image or row, and
                     ``(bnn.int8_conv2d(q, v) - correction) * t * s`` with a scale ``t`` for each output channel.
After, on bfloat16:  ``bnn.bf16_conv2d(bnn.round_bf16(x), v)``.

What :mod:`schedules.kernels.narrow.int8` and :mod:`schedules.kernels.narrow.bf16` derive. Weights of two values per
output channel stay, since they are stored as bits; so do grouped convolutions, products of activations, and sums of
more bytes than int32 holds.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.canonicalize.binarize import window_of_nhwc
from relay_passes.pack.block_float_layers import two_values, weight_to_block
from relay_passes.rewrite import Expr, Rewriter, constant, with_span
from schedules.kernels.narrow import bf16, int8, runs
from schedules.kernels.window import Window
from schedules.machines.dot import Dot
from schedules.templates.tile import divisors

Array = npt.NDArray[Any]
_MATRIX_RANK = 2
#: Of the chunks in which maxima are taken: eight vectors of AVX-512 in flight.
_MOST_MAXIMA = 128


@dataclasses.dataclass(frozen=True)
class _Rows:
    """How a layer's input becomes rows of narrow numbers: samples of so many rows, amid padding."""

    x: Expr
    shape: tuple[int, int, int]
    padding: tuple[int, int] = (0, 0)
    start: int = 0
    length: int = 0

    @property
    def samples(self) -> int:
        """How many there are; each is rounded by itself."""
        return self.shape[0]


class _Narrow(Rewriter):
    """What both kinds of numbers share: which layers, and their geometry."""

    def __init__(self, dot: Dot) -> None:
        super().__init__()
        self._dot = dot

    def call(self, node: relax.Call) -> Expr:
        weight = weight_to_block(node)
        if weight is None or two_values(weight) is not None or not self._fits(weight[0].size):
            return node
        x = node.args[0]
        if weight.ndim != _MATRIX_RANK:
            return self._convolution(node, weight)
        return self._linear(node, weight) if len(dialect.shape_of(x)) > 1 else node

    def _convolution(self, node: relax.Call, weight: Array) -> Expr:
        samples, height, width, depth = dialect.shape_of(node.args[0])
        window = window_of_nhwc(node)
        top, left, bottom, _ = window.padding
        length = runs.row_length(window, depth, width, self._dot)
        rows = _Rows(node.args[0], (samples, height, width * depth), (top, bottom), left * depth, length)
        return self._product(node, rows, weight, window, (height, width, depth))

    def _linear(self, node: relax.Call, weight: Array) -> Expr:
        *outer, depth = dialect.shape_of(node.args[0])
        length = -(-depth // self._dot.group) * self._dot.group
        rows = _Rows(node.args[0], (math.prod(outer), 1, depth), length=length)
        return self._product(node, rows, weight, None, (1, 1, depth))

    def _fits(self, _terms: int) -> bool:
        return True

    def _product(
        self, node: relax.Call, rows: _Rows, weight: Array, window: Window | None, size: tuple[int, int, int]
    ) -> Expr:
        raise NotImplementedError


class _OnBytes(_Narrow):
    def __init__(self, dot: Dot) -> None:
        super().__init__(dot)
        self._scales: dict[tuple[Expr, int], relax.Var] = {}

    def _fits(self, terms: int) -> bool:
        return terms <= int8.MOST_PRODUCTS

    def _product(
        self, node: relax.Call, rows: _Rows, weight: Array, window: Window | None, size: tuple[int, int, int]
    ) -> Expr:
        channels, outer = len(weight), dialect.shape_of(rows.x)[:-1]
        scales, rounded = quantized_weight(weight)
        blocked = constant(runs.blocked_weights(rounded, window, self._dot))
        scale = self._scale(rows.x, rows.samples)
        flat = self.emit(relax.op.reshape(rows.x, rows.shape))
        q = self.emit(dialect.quantize(flat, scale, rows.padding, rows.start, rows.length, self._dot))
        if window is None:
            q = self.emit(relax.op.reshape(q, (*outer, rows.length)))
            product, per_sample = dialect.int8_dense(q, blocked, channels), (*outer, 1)
        else:
            product, per_sample = dialect.int8_conv2d(q, blocked, window, size, channels), (rows.samples, 1, 1, 1)
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


class _OnBfloat16(_Narrow):
    def _product(
        self, node: relax.Call, rows: _Rows, weight: Array, window: Window | None, size: tuple[int, int, int]
    ) -> Expr:
        channels, outer = len(weight), dialect.shape_of(rows.x)[:-1]
        blocked = constant(runs.blocked_weights(bf16.bf16_bits(weight), window, self._dot))
        flat = self.emit(relax.op.reshape(rows.x, rows.shape))
        q = self.emit(dialect.round_bf16(flat, rows.padding, rows.start, rows.length))
        if window is None:
            q = self.emit(relax.op.reshape(q, (*outer, rows.length)))
            return with_span(dialect.bf16_dense(q, blocked, channels), node.span)
        return with_span(dialect.bf16_conv2d(q, blocked, window, size, channels), node.span)


def quantized_weight(weight: Array) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Return the scale of each output channel, ``max|w| / 127``, and the weights in units of it."""
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scales = np.where(largest > 0, largest / int8.LARGEST, 1).astype(np.float32)
    rounded = np.rint(weight / scales.reshape(-1, *[1] * (weight.ndim - 1)))
    return scales, np.clip(rounded, -int8.LARGEST, int8.LARGEST).astype(np.int8)


def narrow_float_layers(module: tvm.IRModule, dot: Dot) -> tvm.IRModule:
    """Rewrite float layers with constant weights to products of the target's instruction."""
    return (_OnBfloat16(dot) if dot.is_bf16 else _OnBytes(dot)).run(module)
