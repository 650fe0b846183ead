"""Whether two measurements differ at all."""

from __future__ import annotations

import numpy as np

from rpc.measuring.measurement import Samples

#: A median absolute deviation above this share of the median makes a result doubtful by itself.
NOISY = 0.05
_MIDDLE = (10, 90)


def is_noisy(samples: Samples) -> bool:
    """Tell whether the spread makes a single result worthless."""
    return samples.mad_ns > NOISY * samples.median_ns


def indistinct(a: Samples, b: Samples) -> bool:
    """Tell whether neither of two may be called faster.

    Measured in turns, sample k of one was taken right beside sample k of the other, so what disturbed one disturbed
    both: what counts is their ratio, and whether its middle 80 % lie on both sides of 1.
    """
    if len(a.samples_ns) != len(b.samples_ns):
        return a.p10_ns <= b.p90_ns and b.p10_ns <= a.p90_ns
    low, high = np.percentile(np.divide(a.samples_ns, b.samples_ns), _MIDDLE)
    return bool(low <= 1 <= high)
