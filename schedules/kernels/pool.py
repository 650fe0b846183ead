"""Pools of packed bits."""

from __future__ import annotations

from tvm import te, tirx
from tvm.ir import Expr as Index

from schedules.kernels.convolution import pad
from schedules.kernels.window import Window


def any_pool(words: te.Tensor, flip: te.Tensor, window: Window) -> te.Tensor:
    """OR of the words of every window, then xor ``flip``; what a maximum is to numbers.

    Parameters
    ----------
    words
        ``(N, H, W, words)`` unsigned.
    flip
        ``(words,)``.
    window
        Padding counts as zero words.

    Returns
    -------
    ``(N, OH, OW, words)``.
    """
    count, height, width, depth = words.shape
    vertical, horizontal = window.axes(int(height), int(width))
    padded = pad(words, window)
    row, column = te.reduce_axis((0, window.kernel[0]), "row"), te.reduce_axis((0, window.kernel[1]), "column")
    (stride_h, stride_w), (dilate_h, dilate_w) = window.strides, window.dilation
    any_of = te.comm_reducer(lambda a, b: a | b, lambda dtype: tirx.const(0, dtype), name="any")

    def read(n: Index, i: Index, j: Index, w: Index) -> Index:
        tap = padded[n, i * stride_h + row * dilate_h, j * stride_w + column * dilate_w, w]
        return any_of(tap, axis=[row, column])

    shape = (count, vertical.out, horizontal.out, depth)
    found = te.compute(shape, read, name="any_of_window")
    return te.compute(shape, lambda *index: found[index] ^ flip[index[-1]], name="any_pool")
