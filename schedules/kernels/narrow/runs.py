"""Layers whose operands are narrower than 32 bits: what their rows look like in memory, and what is summed.

A row of the narrow input holds its pixels' channels without gaps, so neighbouring taps of a window's row are one run of
``kernel width * depth`` numbers. It is read a group at a time, as many as one instruction adds up in a 32-bit lane;
what is read beyond the run's end meets weights that are 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import te, tirx
from tvm.ir import Expr as Index
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from schedules.kernels.binary.bitpack import wide
from schedules.kernels.convolution import first_channels
from schedules.kernels.window import Window
from schedules.machines.dot import Dot

#: Numbers that one step narrows: a vector of AVX-512, or several of others.
_STEP = 16


@dataclasses.dataclass(frozen=True)
class Narrowing:
    """How floats become narrow numbers.

    Parameters
    ----------
    name
        Of the function that does it.
    dtype
        Of the numbers.
    zero
        What padding holds.
    scaled
        Whether each sample has a scale, float32, whose inverse ``narrowed`` is given.
    narrowed
        Returns the numbers of ``extent`` floats: ``narrowed(value, inverse, extent)``.
    """

    name: str
    dtype: str
    zero: int
    scaled: bool
    narrowed: Callable[..., Index]


def narrow_rows(
    narrowing: Narrowing, shape: tuple[int, int, int], rows: tuple[int, int], start: int, length: int
) -> tirx.PrimFunc:
    """Return the function ``(x, q)``, or ``(x, scale, q)``, that narrows ``x`` amid padding.

    Parameters
    ----------
    narrowing
        To what.
    shape
        Of ``x``, float32: samples, rows, and the numbers of a row.
    rows
        Of padding, above and below.
    start, length
        Where the numbers start in a row of ``q``, and how many one has: ``(samples, top + rows + bottom, length)``.
    """
    count, height, width = shape
    top, bottom = rows
    whole = width - width % _STEP
    name, dtype = narrowing.name, narrowing.dtype

    def fill(begin: int, end: int) -> None:
        if end > begin:
            with T.serial(begin, end) as position:
                T.buffer_store(q, tirx.const(narrowing.zero, dtype), [n, i, position])

    def convert(position: Index, extent: int) -> None:
        at: list[Index] = [position, start + position]
        if extent > 1:
            at = [T.ramp(index, 1, extent) for index in at]
        inverse = 1 / scale[n] if scale is not None else None
        T.buffer_store(q, narrowing.narrowed(x[n, i - top, at[0]], inverse, extent), [n, i, at[1]])

    with IRBuilder() as builder, T.prim_func(is_private=True, s_tir=True):
        T.func_name(name)
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(wide(shape), "float32"))
        scale = T.arg("scale", T.buffer(wide((count,)), "float32")) if narrowing.scaled else None
        q = T.arg("q", T.buffer(wide((count, top + height + bottom, length)), dtype))
        with T.grid(*wide((count, top + height + bottom, 1))) as loops, T.sblock(name):
            n, i, _ = T.axis.remap("SSS", list(loops))
            T.reads(x[n, slice(0, height), slice(0, width)], *([scale[n]] if scale is not None else []))
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


def vector_of(dtype: str, extent: int) -> str:
    """Return the dtype of a vector, or of a number."""
    return dtype if extent == 1 else f"{dtype}x{extent}"


def splat(value: Index, extent: int) -> Index:
    """Return a vector of one value, or the value."""
    return value if extent == 1 else T.broadcast(value, extent)


def run_of(window: Window, depth: int) -> tuple[int, int]:
    """Return how many runs a window's row is read in, and the numbers of one."""
    return (1, window.kernel[1] * depth) if window.dilation[1] == 1 else (window.kernel[1], depth)


def row_length(window: Window, depth: int, width: int, dot: Dot) -> int:
    """Return the length of a row of the narrow input: padding, and what the last run reads beyond its end."""
    _, horizontal = window.axes(1, width)
    runs, run = run_of(window, depth)
    last = (horizontal.out - 1) * window.strides[1] + (runs - 1) * window.dilation[1]
    padded = width + horizontal.before + horizontal.after
    return max(padded * depth, last * depth + _filled(run, dot.group))


def _filled(count: int, group: int) -> int:
    return -(-count // group) * group


def blocked_weights(weight: npt.NDArray[Any], window: Window | None, dot: Dot) -> npt.NDArray[Any]:
    """Lay narrow weights out for the kernels.

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
        runs, _ = run_of(window, weight.shape[-1])
        outer = (window.kernel[0], runs)
    runs_of_weights = weight.reshape(channels, *outer, -1)
    missing = [(0, -channels % dot.lanes)] + [(0, 0)] * len(outer) + [(0, -runs_of_weights.shape[-1] % dot.group)]
    filled = np.pad(runs_of_weights, missing)
    split = filled.reshape(-1, dot.lanes, *outer, filled.shape[-1] // dot.group, dot.group)
    return np.ascontiguousarray(np.moveaxis(split, 1, -2))


def conv2d(
    q: te.Tensor,
    weights: te.Tensor,
    window: Window,
    size: tuple[int, int, int],
    channels: int,
    product: Callable[[Index, Index], Index],
    anchor: str,
) -> te.Tensor:
    """Convolution of narrow operands.

    Parameters
    ----------
    q
        ``(N, padded height, row length)``, as :func:`narrow_rows` writes it.
    weights
        As :func:`blocked_weights` lays them out.
    window
        The convolution's geometry.
    size
        Height, width and depth of the input before padding.
    channels
        The first so many are returned.
    product
        What is summed.
    anchor
        Name of the block that sums.

    Returns
    -------
    ``(N, OH, OW, channels)``, of the products' dtype.
    """
    height, width, depth = size
    blocks, kernel_h, runs, steps, lanes, group = (int(extent) for extent in weights.shape)
    vertical, horizontal = window.axes(height, width)
    row, column, step, byte = _reduced(row=kernel_h, column=runs, step=steps, byte=group)
    (stride_h, stride_w), (dilate_h, dilate_w) = window.strides, window.dilation

    def tap(n: Index, i: Index, j: Index, o: Index) -> Index:
        at = j * (stride_w * depth) + column * (dilate_w * depth) + step * group + byte
        weight = weights[tirx.floordiv(o, lanes), row, column, step, tirx.floormod(o, lanes), byte]
        read = q[n, i * stride_h + row * dilate_h, at]
        return te.sum(product(read, weight), axis=[row, column, step, byte])

    total = te.compute(wide((int(q.shape[0]), vertical.out, horizontal.out, blocks * lanes)), tap, name=anchor)
    return _cropped(total, channels)


def dense(
    q: te.Tensor, weights: te.Tensor, channels: int, product: Callable[[Index, Index], Index], anchor: str
) -> te.Tensor:
    """Linear layer ``(..., steps * group)`` x ``(blocks, steps, lanes, group)`` to ``(..., channels)``."""
    blocks, steps, lanes, group = (int(extent) for extent in weights.shape)
    step, byte = _reduced(step=steps, byte=group)

    def dot(*index: Index) -> Index:
        *outer, o = index
        weight = weights[tirx.floordiv(o, lanes), step, tirx.floormod(o, lanes), byte]
        return te.sum(product(q[(*outer, step * group + byte)], weight), axis=[step, byte])

    return _cropped(te.compute((*q.shape[:-1], *wide((blocks * lanes,))), dot, name=anchor), channels)


def _reduced(**extents: int) -> list[tirx.IterVar]:
    # Of the type that the spatial axes have: a conversion between the two would keep vectors from being recognised.
    return [te.reduce_axis((tirx.const(0, "int64"), *wide((extent,))), name) for name, extent in extents.items()]


def _cropped(total: te.Tensor, channels: int) -> te.Tensor:
    if int(total.shape[-1]) == channels:
        return total
    (limit,) = wide((channels,))
    return first_channels(total, limit, "crop", lambda *index_and_value: index_and_value[-1])
