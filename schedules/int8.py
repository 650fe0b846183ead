"""Convolution and linear layer on bytes, for layers that stay float: activations are quantized at run time.

With the scale ``s = max|x| / 127`` of a sample, ``x`` is about ``s * (q - z)`` for bytes ``q``, where ``z`` is 128 if
they are unsigned and 0 if not; a weight is ``t * w`` with a scale for each output channel. Hence

    sum x * weight  =  s * t * (sum q * w  -  z * sum w),

where padding is ``z``, which stands for exactly 0. The kernels here give ``sum q * w``; the rest is elementwise.

Where the instruction wants 16-bit numbers, ``q`` has them, from the same range, and "bytes" here are those.

A row of the quantized input holds its pixels' channels without gaps, so neighbouring taps of a window's row are one run
of ``kernel width * depth`` bytes. It is read four at a time; what is read beyond its end meets weights that are 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tvm import te, tirx
from tvm.ir import Expr as Index
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from schedules.bitpack import wide
from schedules.convolution import first_channels
from schedules.dot import Dot
from schedules.window import Window

#: The name of the block that schedules tile.
ANCHOR = "multiply_accumulate_bytes"
#: The largest magnitude of a quantized value.
LARGEST = 127
#: A product is at most 255 * 127, so that many fit 31 bits.
MOST_PRODUCTS = (2**31 - 1) // (255 * LARGEST)
#: Inputs all zero have to have a scale, too.
_LEAST_MAXIMUM = 1e-30
#: Numbers that one step quantizes: a vector of AVX-512, or several of others.
_STEP = 16


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

    Parameters
    ----------
    shape
        Of ``x``, float32: samples, rows, and the numbers of a row.
    rows
        Of padding, above and below.
    start, length
        Where the numbers start in a row of ``q``, and the bytes of one.
    dtype
        Of ``q``, ``(samples, top + rows + bottom, length)``; uint8 means ``z = 128``, int8 means 0.
    """
    count, height, width = shape
    top, bottom = rows
    zero = tirx.const(128 if dtype == "uint8" else 0, "int32")
    whole = width - width % _STEP

    def fill(begin: int, end: int) -> None:
        if end > begin:
            with T.serial(begin, end) as position:
                T.buffer_store(q, tirx.Cast(dtype, zero), [n, i, position])

    def convert(position: Index, extent: int) -> None:
        at: list[Index] = [position, start + position]
        offset = zero
        if extent > 1:
            at = [T.ramp(index, 1, extent) for index in at]
            offset = T.broadcast(zero, extent)
            inverse = T.broadcast(1 / scale[n], extent)
        else:
            inverse = 1 / scale[n]
        rounded = tirx.nearbyint(x[n, i - top, at[0]] * inverse)
        kind = ("int32", dtype) if extent == 1 else (f"int32x{extent}", f"{dtype}x{extent}")
        T.buffer_store(q, tirx.Cast(kind[1], tirx.Cast(kind[0], rounded) + offset), [n, i, at[1]])

    with IRBuilder() as builder, T.prim_func(is_private=True, s_tir=True):
        T.func_name("quantize")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(wide(shape), "float32"))
        scale = T.arg("scale", T.buffer(wide((count,)), "float32"))
        q = T.arg("q", T.buffer(wide((count, top + height + bottom, length)), dtype))
        with T.grid(*wide((count, top + height + bottom, 1))) as loops, T.sblock("quantize"):
            n, i, _ = T.axis.remap("SSS", list(loops))
            T.reads(x[n, slice(0, height), slice(0, width)], scale[n])
            T.writes(q[n, i, slice(0, length)])
            with T.If(tirx.all(i >= top, i < top + height)):
                with T.Then():
                    fill(0, start)
                    if whole:
                        with T.serial(0, whole // _STEP) as vector:
                            convert(vector * _STEP, _STEP)
                    if width > whole:
                        with T.serial(whole, width) as position:
                            convert(position, 1)
                    fill(start + width, length)
                with T.Else():
                    fill(0, length)
    return builder.get()


def run_of_bytes(window: Window, depth: int) -> tuple[int, int]:
    """Return how many runs a window's row is read in, and the bytes of one."""
    return (1, window.kernel[1] * depth) if window.dilation[1] == 1 else (window.kernel[1], depth)


def row_length(window: Window, depth: int, width: int, dot: Dot) -> int:
    """Return the length of a row of the quantized input: padding, and what the last run reads beyond its end."""
    _, horizontal = window.axes(1, width)
    runs, run = run_of_bytes(window, depth)
    last = (horizontal.out - 1) * window.strides[1] + (runs - 1) * window.dilation[1]
    padded = width + horizontal.before + horizontal.after
    return max(padded * depth, last * depth + _filled(run, dot.group))


def _filled(count: int, group: int) -> int:
    return -(-count // group) * group


def blocked_weights(weight: npt.NDArray[np.int8], window: Window | None, dot: Dot) -> npt.NDArray[np.int8]:
    """Lay int8 weights out for the kernels.

    Parameters
    ----------
    weight
        ``(O, kernel height, kernel width, depth)``, or ``(O, depth)`` where there is no window.
    window
        Tells how a window's row is read.
    dot
        The instruction.

    Returns
    -------
    ``(blocks, kernel height, runs, steps, lanes, group)``, or ``(blocks, steps, lanes, group)``.
    """
    channels = len(weight)
    outer: tuple[int, ...] = ()
    if window is not None:
        runs, _ = run_of_bytes(window, weight.shape[-1])
        outer = (window.kernel[0], runs)
    runs_of_weights = weight.reshape(channels, *outer, -1)
    missing = [(0, -channels % dot.lanes)] + [(0, 0)] * len(outer) + [(0, -runs_of_weights.shape[-1] % dot.group)]
    filled = np.pad(runs_of_weights, missing)
    split = filled.reshape(-1, dot.lanes, *outer, filled.shape[-1] // dot.group, dot.group)
    return np.ascontiguousarray(np.moveaxis(split, 1, -2))


def conv2d(q: te.Tensor, weights: te.Tensor, window: Window, size: tuple[int, int, int], channels: int) -> te.Tensor:
    """Convolution of bytes, int32.

    Parameters
    ----------
    q
        ``(N, padded height, row length)``, as :func:`quantize` writes it.
    weights
        As :func:`blocked_weights` lays them out.
    window
        The convolution's geometry.
    size
        Height, width and depth of the input before padding.
    channels
        The first so many are returned.

    Returns
    -------
    ``(N, OH, OW, channels)``.
    """
    height, width, depth = size
    blocks, kernel_h, runs, steps, lanes, group = (int(extent) for extent in weights.shape)
    vertical, horizontal = window.axes(height, width)
    row, column, step, byte = _reduced(row=kernel_h, column=runs, step=steps, byte=group)
    (stride_h, stride_w), (dilate_h, dilate_w) = window.strides, window.dilation

    def tap(n: Index, i: Index, j: Index, o: Index) -> Index:
        at = j * (stride_w * depth) + column * (dilate_w * depth) + step * group + byte
        read = q[n, i * stride_h + row * dilate_h, at].astype("int32")
        weight = weights[tirx.floordiv(o, lanes), row, column, step, tirx.floormod(o, lanes), byte].astype("int32")
        return te.sum(read * weight, axis=[row, column, step, byte])

    total = te.compute(wide((int(q.shape[0]), vertical.out, horizontal.out, blocks * lanes)), tap, name=ANCHOR)
    return _cropped(total, channels)


def dense(q: te.Tensor, weights: te.Tensor, channels: int) -> te.Tensor:
    """Linear layer ``(..., steps * group)`` x ``(blocks, steps, lanes, group)`` to ``(..., channels)``, int32."""
    blocks, steps, lanes, group = (int(extent) for extent in weights.shape)
    step, byte = _reduced(step=steps, byte=group)

    def dot(*index: Index) -> Index:
        *outer, o = index
        weight = weights[tirx.floordiv(o, lanes), step, tirx.floormod(o, lanes), byte].astype("int32")
        return te.sum(q[(*outer, step * group + byte)].astype("int32") * weight, axis=[step, byte])

    return _cropped(te.compute((*q.shape[:-1], *wide((blocks * lanes,))), dot, name=ANCHOR), channels)


def _reduced(**extents: int) -> list[tirx.IterVar]:
    # Of the type that the spatial axes have: a conversion between the two would keep vectors from being recognised.
    return [te.reduce_axis((tirx.const(0, "int64"), *wide((extent,))), name) for name, extent in extents.items()]


def _cropped(total: te.Tensor, channels: int) -> te.Tensor:
    if int(total.shape[-1]) == channels:
        return total
    (limit,) = wide((channels,))
    return first_channels(total, limit, "crop", lambda *index_and_value: index_and_value[-1])
