"""Float convolution of images as they come: a plane a channel, a few of them.

Every product broadcasts one number of the input from memory, wherever that lies, so that planes are as good as pixels.
They need no transposition, and a row of them is padded by copying it.
"""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr as Index
from tvm.tirx.script.builder import ir as T

from schedules.kernels.binary.bitpack import wide
from schedules.kernels.floats.conv2d import ANCHOR
from schedules.kernels.floats.image_rows import clear_row, copy_row, whole_vectors
from schedules.kernels.floats.plane_function import plane_function
from schedules.kernels.window import Window


def conv2d(
    shape: tuple[int, int, int, int], weights_shape: tuple[int, ...], window: Window, channels: int
) -> tirx.PrimFunc:
    """Return the function ``(x, weights, y)`` that convolves; see :mod:`schedules.kernels.floats.plane_function`.

    The weights are ``(blocks, kernel height, kernel width, C, lanes)``.
    """
    filled = weights_shape[0] * weights_shape[-1]

    def body(x: tirx.Buffer, w: tirx.Buffer, y: tirx.Buffer) -> None:
        padded = _pad(x, window) if any(window.padding) else x
        if channels == filled:
            _accumulate(padded, w, window, y)
        else:
            total = T.sblock_alloc_buffer([*y.shape[:-1], *wide((filled,))], "float32")
            _accumulate(padded, w, window, total)
            _crop(total, y)

    return plane_function("planar_conv2d", shape, weights_shape, window, channels, body)


def _pad(x: tirx.Buffer, window: Window) -> tirx.Buffer:
    """Surround every plane with zeros, in rows of whole vectors."""
    count, depth, height, width = (int(extent) for extent in x.shape)
    top, left, bottom, right = window.padding
    rows, length = top + height + bottom, whole_vectors(left + width + right)
    padded = T.sblock_alloc_buffer(wide((count, depth, rows, length)), "float32")
    with T.grid(*wide((count, depth, rows, 1))) as loops, T.sblock("pad"):
        n, c, i, every = T.axis.remap("SSSS", list(loops))
        start = every * length
        T.reads(x[n, c, slice(0, height), slice(0, width)])
        T.writes(padded[n, c, i, slice(start, start + length)])
        with T.If(tirx.all(i >= top, i < top + height)):
            with T.Then():
                copy_row(x, (n, c, i - top), padded, (n, c, i), left)
            with T.Else():
                clear_row(padded, (n, c, i))
    return padded


def _accumulate(x: tirx.Buffer, w: tirx.Buffer, window: Window, y: tirx.Buffer) -> None:
    _, kernel_h, kernel_w, depth, lanes = (int(extent) for extent in w.shape)
    (stride_h, stride_w), (dilate_h, dilate_w) = window.strides, window.dilation
    spatial = [int(extent) for extent in y.shape]
    with T.grid(*wide(spatial), *wide((kernel_h, kernel_w, depth))) as loops, T.sblock(ANCHOR):
        n, i, j, o, row, column, c = T.axis.remap("SSSSRRR", list(loops))
        read = x[n, c, i * stride_h + row * dilate_h, j * stride_w + column * dilate_w]
        weight = w[tirx.floordiv(o, lanes), row, column, c, tirx.floormod(o, lanes)]
        T.reads(read, weight)
        T.writes(y[n, i, j, o])
        with T.init():
            T.buffer_store(y, tirx.const(0, "float32"), [n, i, j, o])
        T.buffer_store(y, y[n, i, j, o] + read * weight, [n, i, j, o])


def _crop(total: tirx.Buffer, y: tirx.Buffer) -> None:
    """Leave out channels that only fill a vector."""
    with T.grid(*wide([int(extent) for extent in y.shape])) as loops, T.sblock("crop"):
        at: list[Index] = T.axis.remap("SSSS", list(loops))
        T.reads(total[tuple(at)])
        T.writes(y[tuple(at)])
        T.buffer_store(y, total[tuple(at)], at)
