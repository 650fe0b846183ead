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

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.ir import Expr as Index
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from schedules.bitpack import wide
from schedules.window import Axis, Window

#: The block that goes on from the pairs' sums: the anchor that schedules tile.
ANCHOR = "multiply_accumulate_winograd"
#: The block that sums what both outputs of a pair share.
SHARED = "shared_products"
#: The block that writes what is multiplied.
TRANSFORM = "winograd_rows"
_TAPS = 3
#: Numbers that one step of the transformation writes: a vector of AVX-512, or several of others.
_STEP = 16


@dataclasses.dataclass(frozen=True)
class Taps:
    """How the taps of a row are taken.

    Parameters
    ----------
    triples
        First taps of three that are ``stride`` apart.
    single
        Those left over.
    stride
        From one output to the next.
    """

    triples: tuple[int, ...]
    single: tuple[int, ...]
    stride: int

    @property
    def shared(self) -> int:
        """Terms of the first sum, for each channel."""
        return len(self.triples)

    @property
    def terms(self) -> int:
        """Terms of both sums, for each channel."""
        return 2 * len(self.triples) + len(self.single)

    @property
    def saving(self) -> float:
        """Products of the plain sum for each of this one."""
        return (_TAPS * len(self.triples) + len(self.single)) / self.terms


def taps_of(kernel: int, stride: int) -> Taps:
    """Return how a row of ``kernel`` taps without dilation is taken."""
    triples: list[int] = []
    single: list[int] = []
    for phase in range(min(stride, kernel)):
        mine = range(phase, kernel, stride)
        whole = len(mine) - len(mine) % _TAPS
        triples += mine[:whole:_TAPS]
        single += mine[whole:]
    return Taps(tuple(triples), tuple(single), stride)


def row_length(axis: Axis) -> int:
    """Return how many columns a row of the transformed input has: the outputs', in whole vectors."""
    return _whole_vectors(axis.out)


def _whole_vectors(columns: int) -> int:
    return -(-columns // _STEP) * _STEP


def weights(weight: npt.NDArray[np.float32], taps: Taps, lanes: int) -> npt.NDArray[np.float32]:
    """Lay weights out for the kernel.

    Parameters
    ----------
    weight
        ``(O, kernel height, kernel width, C)``.
    taps
        Of a row.
    lanes
        Output channels a vector.

    Returns
    -------
    ``(blocks, kernel height, terms * C, 2, lanes)``: those of the even and of the odd output of a pair.
    """
    columns = weight.astype(np.float64).transpose(2, 0, 1, 3)
    pairs = [*(_shared_weights(columns, first, taps.stride) for first in taps.triples)]
    pairs += [(columns[first], columns[first + 2 * taps.stride]) for first in taps.triples]
    pairs += [(columns[tap], columns[tap]) for tap in taps.single]
    # (terms, 2, O, kernel height, C)
    laid = np.stack([np.stack(pair) for pair in pairs]).astype(np.float32)
    laid = np.pad(laid, ((0, 0), (0, 0), (0, -len(weight) % lanes), (0, 0), (0, 0)))
    terms, _, channels, height, depth = laid.shape
    split = laid.reshape(terms, 2, channels // lanes, lanes, height, depth).transpose(2, 4, 0, 5, 1, 3)
    return np.ascontiguousarray(split.reshape(channels // lanes, height, terms * depth, 2, lanes))


def _shared_weights(
    columns: npt.NDArray[np.float64], first: int, stride: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    low, middle, high = (columns[first + tap * stride] for tap in range(_TAPS))
    return (low + middle + high) / 2, (low - middle + high) / 2


def conv2d(
    shape: tuple[int, int, int, int], weights_shape: tuple[int, ...], window: Window, channels: int
) -> tirx.PrimFunc:
    """Return the function ``(x, weights, y)`` that convolves.

    Parameters
    ----------
    shape
        Of ``x``, float32: ``(N, C, H, W)``, a plane a channel.
    weights_shape
        What :func:`weights` returns.
    window
        The convolution's geometry; the output has an even width.
    channels
        The first so many are written.

    Returns
    -------
    A function that writes ``y``, ``(N, OH, OW, channels)`` float32.
    """
    count, depth, height, width = shape
    vertical, horizontal = window.axes(height, width)
    top, _, bottom, _ = window.padding
    taps = taps_of(window.kernel[1], window.strides[1])
    z_shape = (count, top + height + bottom, taps.terms * depth, row_length(horizontal))
    with IRBuilder() as builder, T.prim_func(is_private=True, s_tir=True):
        T.func_name("winograd_conv2d")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(wide(shape), "float32"))
        w = T.arg("w", T.buffer(wide(weights_shape), "float32"))
        y = T.arg("y", T.buffer(wide((count, vertical.out, horizontal.out, channels)), "float32"))
        z = T.sblock_alloc_buffer(wide(z_shape), "float32")
        _transform(x, z, window, taps)
        _write(_sum(z, w, window, (vertical.out, horizontal.out), taps.shared * depth), y)
    return builder.get()


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


def _transform(x: tirx.Buffer, z: tirx.Buffer, window: Window, taps: Taps) -> None:
    """Write, for every row and output column, what the weights of its taps are multiplied with."""
    count, depth, height, width = (int(extent) for extent in x.shape)
    _, rows, terms, length = (int(extent) for extent in z.shape)
    top, left = window.padding[:2]
    reach = _whole_vectors(max(length + -(-window.kernel[1] // taps.stride), -(-(left + width) // taps.stride)))
    with T.grid(*wide((count, rows, 1, 1))) as loops, T.sblock(TRANSFORM):
        n, i, every_term, every_column = T.axis.remap("SSSS", list(loops))
        T.reads(x[n, slice(0, depth), slice(0, height), slice(0, width)])
        term, column = every_term * terms, every_column * length
        T.writes(z[n, i, slice(term, term + terms), slice(column, column + length)])
        line = T.sblock_alloc_buffer(wide((depth, reach * taps.stride)), "float32")
        phases = T.sblock_alloc_buffer(wide((depth, taps.stride, reach)), "float32")
        with T.If(tirx.all(i >= top, i < top + height)):
            with T.Then():
                _copy_line(x, line, (n, i - top), left)
                _deal_out(line, phases)
                with T.serial(0, length // _STEP) as v:
                    for term, value in enumerate(_terms(phases, v, taps)):
                        T.buffer_store(z, value, [n, i, term, T.ramp(v * _STEP, 1, _STEP)])
            with T.Else(), T.grid(terms, length // _STEP) as (term, v):
                T.buffer_store(z, _zeros("float32"), [n, i, term, T.ramp(v * _STEP, 1, _STEP)])


def _copy_line(x: tirx.Buffer, line: tirx.Buffer, row: tuple[Index, Index], left: int) -> None:
    """Copy a row of every plane, with zeros around it."""
    width, reach = int(x.shape[-1]), int(line.shape[-1])
    whole = width - width % _STEP
    begins = [*range(0, left, _STEP), *range((left + width) // _STEP * _STEP, reach, _STEP)]
    n, i = row
    for c in range(int(x.shape[1])):
        for begin in begins:
            T.buffer_store(line, _zeros("float32"), [c, T.ramp(begin, 1, _STEP)])
        if whole:
            with T.serial(0, whole // _STEP) as v:
                read = x[n, c, i, T.ramp(v * _STEP, 1, _STEP)]
                T.buffer_store(line, read, [c, T.ramp(left + v * _STEP, 1, _STEP)])
        if width > whole:
            with T.serial(whole, width) as position:
                T.buffer_store(line, x[n, c, i, position], [c, left + position])


def _deal_out(line: tirx.Buffer, phases: tirx.Buffer) -> None:
    """Put every ``stride``-th column into a row of its own, once: after that, vectors are read as they lie."""
    depth, stride, reach = (int(extent) for extent in phases.shape)
    with T.serial(0, reach // _STEP) as v:
        for c, phase in itertools.product(range(depth), range(stride)):
            vectors = [line[c, T.ramp((v * stride + part) * _STEP, 1, _STEP)] for part in range(stride)]
            lanes = [tirx.IntImm("int32", lane * stride + phase) for lane in range(_STEP)]
            value = tirx.Shuffle(vectors, lanes) if stride > 1 else vectors[0]
            T.buffer_store(phases, value, [c, phase, T.ramp(v * _STEP, 1, _STEP)])


def _terms(phases: tirx.Buffer, v: Index, taps: Taps) -> Iterator[Index]:
    """Return all terms of sixteen neighbouring outputs."""
    planes, stride = range(int(phases.shape[0])), taps.stride

    def column(c: int, tap: int) -> Index:
        return phases[c, tap % stride, T.ramp(v * _STEP + tap // stride, 1, _STEP)]

    def by_parity(even: Index, odd: Index) -> Index:
        lane = T.ramp(tirx.const(0, "int32"), 1, _STEP)
        return tirx.Select(lane % T.broadcast(tirx.const(2, "int32"), _STEP) == _zeros("int32"), even, odd)

    for first, c in itertools.product(taps.triples, planes):
        # d1 + d2 for the even output, d2 - d1 for the odd one, whose d1 is a column further.
        low, middle, high = (column(c, first + tap * stride) for tap in range(_TAPS))
        yield middle + by_parity(high, _zeros("float32") - low)
    for first, c in itertools.product(taps.triples, planes):
        # d0 - d2 for the even output, d3 - d1 for the odd one.
        low, high = column(c, first), column(c, first + 2 * stride)
        yield by_parity(low - high, high - low)
    for tap, c in itertools.product(taps.single, planes):
        yield column(c, tap)


def _zeros(dtype: str) -> Index:
    return T.broadcast(tirx.const(0, dtype), _STEP)
