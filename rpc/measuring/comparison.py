"""Whether one thing is faster than another, or the spread swallows the difference."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from rpc.measuring.measurement import Samples

#: Fewer samples than this exclude nothing at the level below.
FEWEST_SAMPLES = 6
_LEVEL = 0.05


class Ratio(msgspec.Struct, frozen=True):
    """How many times as long the second takes: the median of the rounds' ratios, and its 95 % confidence interval."""

    median: float
    low: float
    high: float


def compare(first: Samples, second: Samples) -> Ratio | str:
    """Return the ratio of times taken in turns, or one line that says why none can be given.

    Samples of one round belong together, so the rounds' ratios are looked at. The interval is that of the sign test:
    the median lies between the k-th smallest and the k-th largest with a probability that is binomial, whatever the
    distribution. Medians that are no further apart than both median absolute deviations together count as equal, too:
    so small a difference may be real, and means nothing.
    """
    if len(first.samples_ns) != len(second.samples_ns) or len(first.samples_ns) < FEWEST_SAMPLES:
        return f"no comparison: it takes {FEWEST_SAMPLES} rounds, in turns"
    ratios = np.sort(np.asarray(second.samples_ns) / np.asarray(first.samples_ns))
    rank = _rank(len(ratios))
    low, high = float(ratios[rank]), float(ratios[-1 - rank])
    apart = abs(second.median_ns - first.median_ns)
    if low <= 1 <= high or apart <= first.mad_ns + second.mad_ns:
        return f"no difference beyond the spread ({low:.3g}x to {high:.3g}x)"
    return Ratio(float(np.median(ratios)), low, high)


def _rank(count: int) -> int:
    """Return the largest k such that a fair coin shows at most k heads with less than half the level's probability."""
    tail, rank = 0.0, -1
    for heads in range(count):
        tail += math.comb(count, heads) / 2**count
        if tail > _LEVEL / 2:
            break
        rank = heads
    return max(rank, 0)
