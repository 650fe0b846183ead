"""Float convolutions of few channels with fewer products: Winograd's minimal filtering F(2, 3) along each row.

Two neighbouring outputs of a 3-tap filter take four products in place of six (Winograd, *Arithmetic Complexity of
Computations*, 1980; for convolutions: Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016,
equation 5)::

    y0 = d0 g0 + d1 g1 + d2 g2 = (d0 - d2) g0 + m1 + m2      m1 = (d1 + d2) (g0 + g1 + g2) / 2
    y1 = d1 g0 + d2 g1 + d3 g2 = (d3 - d1) g2 + m1 - m2      m2 = (d2 - d1) (g0 - g1 + g2) / 2

A stride of two reads the even and the odd columns as two inputs, each with every other tap. Taps of one of them are
taken three at a time; those left over are multiplied as they are. A row of seven taps with stride two takes 10 products
a pair of outputs in place of 14, one of three taps with stride one 4 in place of 6.

Nothing but sums, differences and halves is taken, in float32: the result is as exact as that of any other order of
summation, up to a factor of about two.

The products of a pair are kept apart: ``m1`` and ``m2`` are summed over all taps first, in the registers of the two
outputs; then ``y0 = m1 + m2, y1 = m1 - m2`` there, and everything else is added to that.
"""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr as Index
from tvm.tirx.script.builder import ir as T

from schedules.kernels.binary.bitpack import wide
from schedules.kernels.floats.plane_function import plane_function
from schedules.kernels.floats.winograd_taps import row_length, taps_of
from schedules.kernels.floats.winograd_transform import transform
from schedules.kernels.window import Window

#: The block that goes on from the pairs' sums: the anchor that schedules tile.
ANCHOR = "multiply_accumulate_winograd"
#: The block that sums what both outputs of a pair share.
SHARED = "shared_products"


def conv2d(
    shape: tuple[int, int, int, int], weights_shape: tuple[int, ...], window: Window, channels: int
) -> tirx.PrimFunc:
    """Return the function ``(x, weights, y)`` that convolves; see :mod:`schedules.kernels.floats.plane_function`.

    The weights are what :func:`schedules.kernels.floats.winograd_taps.weights` returns; the output has an even width.
    """
    count, depth, height, width = shape
    vertical, horizontal = window.axes(height, width)
    top, _, bottom, _ = window.padding
    taps = taps_of(window.kernel[1], window.strides[1])
    z_shape = (count, top + height + bottom, taps.terms * depth, row_length(horizontal))

    def body(x: tirx.Buffer, w: tirx.Buffer, y: tirx.Buffer) -> None:
        z = T.sblock_alloc_buffer(wide(z_shape), "float32")
        transform(x, z, window, taps)
        _write(_sum(z, w, window, (vertical.out, horizontal.out), taps.shared * depth), y)

    return plane_function("winograd_conv2d", shape, weights_shape, window, channels, body)


def _sum(z: tirx.Buffer, w: tirx.Buffer, window: Window, size: tuple[int, int], shared: int) -> tirx.Buffer:
    """Sum what a pair shares, then, from its sum and its difference on, the rest: ``(N, OH, OW / 2, 2, channels)``."""
    blocks, kernel_h, terms, _, lanes = (int(extent) for extent in w.shape)
    stride, dilation = window.strides[0], window.dilation[0]
    sums = wide((int(z.shape[0]), size[0], size[1] // 2, 2, blocks * lanes))
    both, total = (T.sblock_alloc_buffer(sums, "float32") for _ in range(2))
    for name, to, begin, end in ((SHARED, both, 0, shared), (ANCHOR, total, shared, terms)):
        with T.grid(*sums, *wide((kernel_h, end - begin))) as loops, T.sblock(name):
            *at, row, term = T.axis.remap("SSSSSRR", list(loops))
            n, i, pair, parity, o = at
            read = z[n, i * stride + row * dilation, term + begin, pair * 2 + parity]
            weight = w[tirx.floordiv(o, lanes), row, term + begin, parity, tirx.floormod(o, lanes)]
            start: Index = tirx.const(0, "float32")
            if to is both:
                T.reads(read, weight)
            else:
                T.reads(both[n, i, pair, slice(0, 2), o], read, weight)
                even, odd = both[n, i, pair, 0, o], both[n, i, pair, 1, o]
                start = tirx.Select(parity == 0, even + odd, even - odd)
            T.writes(to[tuple(at)])
            with T.init():
                T.buffer_store(to, start, at)
            T.buffer_store(to, to[tuple(at)] + read * weight, at)
    return total


def _write(total: tirx.Buffer, y: tirx.Buffer) -> None:
    """Put the pairs side by side, and leave out channels that only fill a vector."""
    with T.grid(*wide([int(extent) for extent in y.shape])) as loops, T.sblock("columns"):
        n, i, j, o = T.axis.remap("SSSS", list(loops))
        value = total[n, i, tirx.floordiv(j, 2), tirx.floormod(j, 2), o]
        T.reads(value)
        T.writes(y[n, i, j, o])
        T.buffer_store(y, value, [n, i, j, o])
