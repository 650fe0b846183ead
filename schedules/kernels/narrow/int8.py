"""Convolution and linear layer on bytes, for layers that stay float: activations are quantized at run time.

With the scale ``s = max|x| / 127`` of a sample, ``x`` is about ``s * (q - z)`` for bytes ``q``, where ``z`` is 128 if
they are unsigned and 0 if not; a weight is ``t * w`` with a scale for each output channel. Hence

    sum x * weight  =  s * t * (sum q * w  -  z * sum w),

where padding is ``z``, which stands for exactly 0. The kernels here give ``sum q * w``; the rest is elementwise.

Where the instruction wants 16-bit numbers, ``q`` has them, from the same range, and "bytes" here are those.
"""

from __future__ import annotations

from tvm import te, tirx
from tvm.ir import Expr as Index

from schedules.kernels.narrow import runs
from schedules.kernels.window import Window

#: The name of the block that schedules tile.
ANCHOR = "multiply_accumulate_bytes"
#: The largest magnitude of a quantized value.
LARGEST = 127
#: A product is at most 255 * 127, so that many fit 31 bits.
MOST_PRODUCTS = (2**31 - 1) // (255 * LARGEST)
#: Inputs all zero have to have a scale, too.
_LEAST_MAXIMUM = 1e-30


def activation_scale(x: te.Tensor) -> te.Tensor:
    """Return ``max|x| / 127`` for each sample of ``(samples, steps, lanes)``: ``(samples,)`` float32."""
    samples, steps, lanes = x.shape
    step, lane = te.reduce_axis((0, steps), "step"), te.reduce_axis((0, lanes), "lane")
    partial = te.compute(
        (samples, lanes), lambda n, k: te.max(tirx.abs(x[n, step, k]), axis=[step]), name="partial_maximum"
    )
    largest = te.compute((samples,), lambda n: te.max(partial[n, lane], axis=[lane]), name="maximum")
    least = tirx.const(_LEAST_MAXIMUM, "float32")
    return te.compute((samples,), lambda n: tirx.max(largest[n], least) * (1 / LARGEST), name="scale")


def quantize(shape: tuple[int, int, int], rows: tuple[int, int], start: int, length: int, dtype: str) -> tirx.PrimFunc:
    """Return the function ``(x, scale, q)`` that writes ``q = round(x / scale) + z`` amid bytes that are ``z``.

    The parameters are :func:`schedules.kernels.narrow.runs.narrow_rows`'s; uint8 means ``z = 128``, other types 0.
    """
    zero = 128 if dtype == "uint8" else 0

    def rounded(value: Index, inverse: Index, extent: int) -> Index:
        nearest = tirx.nearbyint(value * runs.splat(inverse, extent))
        whole = tirx.Cast(runs.vector_of("int32", extent), nearest)
        return tirx.Cast(runs.vector_of(dtype, extent), whole + runs.splat(tirx.const(zero, "int32"), extent))

    return runs.narrow_rows(runs.Narrowing("quantize", dtype, zero, True, rounded), shape, rows, start, length)


def conv2d(q: te.Tensor, weights: te.Tensor, window: Window, size: tuple[int, int, int], channels: int) -> te.Tensor:
    """Convolution of bytes, int32; see :func:`schedules.kernels.narrow.runs.conv2d`."""
    return runs.conv2d(q, weights, window, size, channels, _product, ANCHOR)


def dense(q: te.Tensor, weights: te.Tensor, channels: int) -> te.Tensor:
    """Linear layer on bytes, int32; see :func:`schedules.kernels.narrow.runs.dense`."""
    return runs.dense(q, weights, channels, _product, ANCHOR)


def _product(read: Index, weight: Index) -> Index:
    return read.astype("int32") * weight.astype("int32")
