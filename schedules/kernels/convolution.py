"""What the binary and the float convolution share: padding, and where a window reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm import te, tirx
from tvm.ir import Expr as Index

from schedules.kernels.window import Axis, Window


def pad(x: te.Tensor, window: Window) -> te.Tensor:
    """Surround an NHWC tensor with zeros; returns ``x`` itself where there is nothing to add."""
    if not any(window.padding):
        return x
    count, height, width, channels = x.shape
    top, left, bottom, right = window.padding

    def padded(n: Index, i: Index, j: Index, c: Index) -> Index:
        inside = tirx.all(i >= top, i < height + top, j >= left, j < width + left)
        return tirx.if_then_else(inside, x[n, i - top, j - left, c], tirx.const(0, x.dtype))

    shape = (count, height + top + bottom, width + left + right, channels)
    return te.compute(shape, padded, name="pad")


def accumulate(
    x: te.Tensor, weights: te.Tensor, window: Window, groups: int, name: str, term: Callable[[Index, Index], Index]
) -> te.Tensor:
    """Sum ``term(input, weight)`` over the window and the depth.

    Parameters
    ----------
    x
        ``(N, H, W, groups * depth)``.
    weights
        ``(blocks, kernel height, kernel width, depth, lanes)``: lane ``l`` of block ``b`` is output channel
        ``b * lanes + l``.
    window, groups
        The convolution's geometry.
    name
        Of the block, by which schedules find it.
    term
        What one tap contributes; its dtype is that of the sum.

    Returns
    -------
    ``(N, OH, OW, blocks * lanes)``.
    """
    blocks, kernel_h, kernel_w, depth, lanes = (int(extent) for extent in weights.shape)
    vertical, horizontal = window.axes(int(x.shape[1]), int(x.shape[2]))
    channels = blocks * lanes
    padded = pad(x, window)
    row, column = te.reduce_axis((0, kernel_h), "row"), te.reduce_axis((0, kernel_w), "column")
    deep = te.reduce_axis((0, depth), "depth")
    (stride_h, stride_w), (dilate_h, dilate_w) = window.strides, window.dilation

    def tap(n: Index, i: Index, j: Index, o: Index) -> Index:
        group = 0 if groups == 1 else tirx.floordiv(o, channels // groups) * depth
        read = padded[n, i * stride_h + row * dilate_h, j * stride_w + column * dilate_w, group + deep]
        weight = weights[tirx.floordiv(o, lanes), row, column, deep, tirx.floormod(o, lanes)]
        return te.sum(term(read, weight), axis=[row, column, deep])

    return te.compute((x.shape[0], vertical.out, horizontal.out, channels), tap, name=name)


def accumulate_rows(x: te.Tensor, weights: te.Tensor, name: str, term: Callable[[Index, Index], Index]) -> te.Tensor:
    """Sum ``term(input, weight)`` over the last axis: a linear layer.

    ``x`` is ``(..., depth)``, ``weights`` ``(blocks, depth, lanes)``; returns ``(..., blocks * lanes)``.
    """
    blocks, depth, lanes = (int(extent) for extent in weights.shape)
    deep = te.reduce_axis((0, depth), "depth")

    def dot(*index: Index) -> Index:
        *outer, o = index
        weight = weights[tirx.floordiv(o, lanes), deep, tirx.floormod(o, lanes)]
        return te.sum(term(x[(*outer, deep)], weight), axis=[deep])

    return te.compute((*x.shape[:-1], blocks * lanes), dot, name=name)


def border_class(axis: Axis, position: Index) -> Index:
    """Return the border class of an output position, branch-free (see :meth:`Axis.class_positions`)."""
    if axis.clipped is None:
        return position
    lead, trail = axis.clipped
    return class_between(lead, axis.out - 1 - trail, position)


def class_between(lead: int, last: int, position: Index) -> Index:
    """Return the border class of a position, with those from ``lead`` to ``last`` all in one."""
    return tirx.min(position, lead) + tirx.max(0, position - last)


def first_channels(x: te.Tensor, channels: Index | int, name: str, value: Callable[..., Index]) -> te.Tensor:
    """Compute ``value(*index, x[index])`` over the first ``channels`` of the last axis."""
    shape: Sequence[Index | int] = (*x.shape[:-1], channels)
    return te.compute(shape, lambda *index: value(*index, x[index]), name=name)
