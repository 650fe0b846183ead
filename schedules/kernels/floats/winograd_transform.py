"""What Winograd's convolution multiplies: sums and differences of the input's columns, a row at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tvm import tirx
from tvm.ir import Expr as Index
from tvm.tirx.script.builder import ir as T

from schedules.kernels.binary.bitpack import wide
from schedules.kernels.floats.image_rows import STEP, copy_row, whole_vectors, zeros
from schedules.kernels.floats.winograd_taps import TAPS, Taps
from schedules.kernels.window import Window

#: The block that writes it.
TRANSFORM = "winograd_rows"


def transform(x: tirx.Buffer, z: tirx.Buffer, window: Window, taps: Taps) -> None:
    """Write, for every row and output column, what the weights of its taps are multiplied with."""
    count, depth, height, width = (int(extent) for extent in x.shape)
    _, rows, terms, length = (int(extent) for extent in z.shape)
    top, left = window.padding[:2]
    reach = whole_vectors(max(length + -(-window.kernel[1] // taps.stride), -(-(left + width) // taps.stride)))
    with T.grid(*wide((count, rows, 1, 1))) as loops, T.sblock(TRANSFORM):
        n, i, every_term, every_column = T.axis.remap("SSSS", list(loops))
        T.reads(x[n, slice(0, depth), slice(0, height), slice(0, width)])
        term, column = every_term * terms, every_column * length
        T.writes(z[n, i, slice(term, term + terms), slice(column, column + length)])
        line = T.sblock_alloc_buffer(wide((depth, reach * taps.stride)), "float32")
        phases = T.sblock_alloc_buffer(wide((depth, taps.stride, reach)), "float32")
        with T.If(tirx.all(i >= top, i < top + height)):
            with T.Then():
                for c in range(depth):
                    copy_row(x, (n, c, i - top), line, (c,), left)
                _deal_out(line, phases)
                with T.serial(0, length // STEP) as v:
                    for term, value in enumerate(_terms(phases, v, taps)):
                        T.buffer_store(z, value, [n, i, term, T.ramp(v * STEP, 1, STEP)])
            with T.Else(), T.grid(terms, length // STEP) as (term, v):
                T.buffer_store(z, zeros("float32"), [n, i, term, T.ramp(v * STEP, 1, STEP)])


def _deal_out(line: tirx.Buffer, phases: tirx.Buffer) -> None:
    """Put every ``stride``-th column into a row of its own, once: after that, vectors are read as they lie."""
    depth, stride, reach = (int(extent) for extent in phases.shape)
    with T.serial(0, reach // STEP) as v:
        for c, phase in itertools.product(range(depth), range(stride)):
            vectors = [line[c, T.ramp((v * stride + part) * STEP, 1, STEP)] for part in range(stride)]
            lanes = [tirx.IntImm("int32", lane * stride + phase) for lane in range(STEP)]
            value = tirx.Shuffle(vectors, lanes) if stride > 1 else vectors[0]
            T.buffer_store(phases, value, [c, phase, T.ramp(v * STEP, 1, STEP)])


def _terms(phases: tirx.Buffer, v: Index, taps: Taps) -> Iterator[Index]:
    """Return all terms of sixteen neighbouring outputs."""
    planes, stride = range(int(phases.shape[0])), taps.stride

    def column(c: int, tap: int) -> Index:
        return phases[c, tap % stride, T.ramp(v * STEP + tap // stride, 1, STEP)]

    def by_parity(even: Index, odd: Index) -> Index:
        lane = T.ramp(tirx.const(0, "int32"), 1, STEP)
        return tirx.Select(lane % T.broadcast(tirx.const(2, "int32"), STEP) == zeros("int32"), even, odd)

    for first, c in itertools.product(taps.triples, planes):
        # d1 + d2 for the even output, d2 - d1 for the odd one, whose d1 is a column further.
        low, middle, high = (column(c, first + tap * stride) for tap in range(TAPS))
        yield middle + by_parity(high, zeros("float32") - low)
    for first, c in itertools.product(taps.triples, planes):
        # d0 - d2 for the even output, d3 - d1 for the odd one.
        low, high = column(c, first), column(c, first + 2 * stride)
        yield by_parity(low - high, high - low)
    for tap, c in itertools.product(taps.single, planes):
        yield column(c, tap)
