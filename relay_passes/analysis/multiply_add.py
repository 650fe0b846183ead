"""A product and a sum that are rounded once, in NumPy, which has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def multiply_add(x: Array, a: Array, b: Array) -> Array:
    """Return ``x * a + b`` in the operands' precision, rounded once if that is float32; other types round twice.

    The product of two float32 numbers is exact in float64. Their sum is rounded there to odd, that is, its last bit is
    set where anything was lost, so that the second rounding, to float32, decides as if nothing had been (Boldo and
    Melquiond, "Emulation of a FMA and correctly rounded sums", 2008).
    """
    dtype = np.result_type(x, a, b)
    if dtype != np.float32:
        return np.asarray(x * a + b)
    with np.errstate(all="ignore"):
        product, addend = np.multiply(x, a, dtype=np.float64), np.asarray(b, np.float64)
        total = product + addend
        # What was lost, exactly (Knuth's two-sum).
        part = total - product
        lost = (product - (total - part)) + (addend - part)
        bits = total.view(np.int64)
        even = (bits & 1) == 0
        # Towards the exact sum, by one unit, where that is not the even neighbour that was taken.
        step = np.where((lost > 0) == (total > 0), 1, -1)
        odd = np.where(np.isfinite(lost) & (lost != 0) & even, bits + step, bits).view(np.float64)
        return odd.astype(np.float32)
