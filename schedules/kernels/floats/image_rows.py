"""Rows of image planes, copied by vectors into rows that have room for padding."""

from __future__ import annotations

from collections.abc import Sequence

from tvm import tirx
from tvm.ir import Expr as Index
from tvm.tirx.script.builder import ir as T

#: Columns that one step writes: a vector of AVX-512, or several of others.
STEP = 16


def whole_vectors(columns: int) -> int:
    """Return a number of columns rounded up to a multiple of :data:`STEP`."""
    return -(-columns // STEP) * STEP


def zeros(dtype: str) -> Index:
    """Return a vector of zeros."""
    return T.broadcast(tirx.const(0, dtype), STEP)


def clear_row(to: tirx.Buffer, place: Sequence[Index]) -> None:
    """Write zeros to ``to[place]``, a row of whole vectors. Must be called while a block is built."""
    with T.serial(0, int(to.shape[-1]) // STEP) as v:
        T.buffer_store(to, zeros(str(to.dtype)), [*place, T.ramp(v * STEP, 1, STEP)])


def copy_row(x: tirx.Buffer, row: Sequence[Index], to: tirx.Buffer, place: Sequence[Index], left: int) -> None:
    """Write ``to[place]``, a row of whole vectors: ``x[row]`` after ``left`` zeros, and zeros behind it.

    Must be called while a block is built.
    """
    width, length = int(x.shape[-1]), int(to.shape[-1])
    whole = width - width % STEP
    for begin in (*range(0, left, STEP), *range((left + width) // STEP * STEP, length, STEP)):
        T.buffer_store(to, zeros(str(to.dtype)), [*place, T.ramp(begin, 1, STEP)])
    if whole:
        with T.serial(0, whole // STEP) as v:
            T.buffer_store(to, x[(*row, T.ramp(v * STEP, 1, STEP))], [*place, T.ramp(left + v * STEP, 1, STEP)])
    if width > whole:
        with T.serial(whole, width) as position:
            T.buffer_store(to, x[(*row, position)], [*place, left + position])
