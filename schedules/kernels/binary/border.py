"""Zero padding, exactly, when zero is not a sign.

A padded tap must contribute 0 to the dot product, but a packed word can only say +1 or -1. Padding is stored as zero
words, so a padded tap adds ``popcount(0 xor w) = popcount(w)`` to the count. With ``K`` the signs under the taps that
read the input, ``pop`` the count over all taps and ``pad`` the count that the padded taps added,

    dot = K - 2 * (pop - pad) = (K + 2 * pad) - 2 * pop.

The bracket depends on the output channel and on which taps are padded only: the *border table*.

So does what a layer makes of a constant input: :func:`sums_within`, read at each position by :func:`at_border`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import te
from tvm.ir import Expr as Index

from schedules.kernels.binary.bitpack import BorderAxes, class_of
from schedules.kernels.window import Window


def border_table(weight: npt.NDArray[Any], window: Window, height: int, width: int) -> npt.NDArray[np.int32]:
    """Return ``K + 2 * pad`` for every kind of output position.

    Parameters
    ----------
    weight
        ``(channels, kernel height, kernel width, depth)``, +1 or -1.
    window
        The convolution's geometry.
    height, width
        Of the input, in pixels.

    Returns
    -------
    ``(row classes, column classes, channels)`` int32; the classes are those of :class:`schedules.kernels.window.Axis`.
    """
    valid = _taps_within(window, height, width).astype(np.int64)
    depth = np.full(weight.shape[:3], weight.shape[3], np.int64)
    positive = (weight > 0).sum(axis=3)
    table = np.einsum("rckl,okl->rco", valid, depth) + 2 * np.einsum("rckl,okl->rco", 1 - valid, positive)
    return np.asarray(table, np.int32)


def sums_within(weight: npt.NDArray[Any], window: Window, height: int, width: int) -> npt.NDArray[np.float64]:
    """Return what a convolution makes of ones that zeros surround, for every kind of output position.

    Parameters
    ----------
    weight
        ``(channels, kernel height, kernel width, depth)``.
    window
        The convolution's geometry.
    height, width
        Of the ones, in pixels.

    Returns
    -------
    ``(row classes, column classes, channels)``, as :func:`border_table` has them.
    """
    valid = _taps_within(window, height, width).astype(np.float64)
    return np.asarray(np.einsum("rckl,okl->rco", valid, weight.sum(axis=3, dtype=np.float64)))


def at_border(table: te.Tensor, axes: BorderAxes) -> te.Tensor:
    """Read a table of every kind of output position at each position.

    Parameters
    ----------
    table
        ``(row classes, column classes, channels)``.
    axes
        Vertical and horizontal, of the positions: as :func:`schedules.kernels.binary.bitpack.bitpack` takes them.

    Returns
    -------
    ``(1, rows, columns, channels)`` of the table's dtype.
    """
    (rows, *_), (columns, *_) = axes

    def entry(n: Index, i: Index, j: Index, o: Index) -> Index:
        return table[(*class_of(axes, (n, i, j)), o)]

    return te.compute((1, rows, columns, table.shape[-1]), entry, name="at_border")


def _taps_within(window: Window, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return ``(row classes, column classes, kernel height, kernel width)``: True where a tap reads no padding."""
    vertical, horizontal = window.axes(height, width)
    rows = vertical.valid_taps()[vertical.class_positions()]
    columns = horizontal.valid_taps()[horizontal.class_positions()]
    return np.asarray(rows[:, None, :, None] & columns[None, :, None, :])
