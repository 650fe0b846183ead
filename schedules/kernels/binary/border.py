"""Zero padding, exactly, when zero is not a sign.

A padded tap must contribute 0 to the dot product, but a packed word can only say +1 or -1. Padding is stored as zero
words, so a padded tap adds ``popcount(0 xor w) = popcount(w)`` to the count. With ``K`` the signs under the taps that
read the input, ``pop`` the count over all taps and ``pad`` the count that the padded taps added,

    dot = K - 2 * (pop - pad) = (K + 2 * pad) - 2 * pop.

The bracket depends on the output channel and on which taps are padded only: the *border table*.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

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
    vertical, horizontal = window.axes(height, width)
    rows = vertical.valid_taps()[vertical.class_positions()]
    columns = horizontal.valid_taps()[horizontal.class_positions()]
    valid = (rows[:, None, :, None] & columns[None, :, None, :]).astype(np.int64)
    depth = np.full(weight.shape[:3], weight.shape[3], np.int64)
    positive = (weight > 0).sum(axis=3)
    table = np.einsum("rckl,okl->rco", valid, depth) + 2 * np.einsum("rckl,okl->rco", 1 - valid, positive)
    return np.asarray(table, np.int32)
