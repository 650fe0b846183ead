"""Whether two measurements differ at all."""

from __future__ import annotations

from rpc.measurement import Samples

#: A median absolute deviation above this share of the median makes a result doubtful by itself.
NOISY = 0.05


def is_noisy(samples: Samples) -> bool:
    """Tell whether the spread makes a single result worthless."""
    return samples.mad_ns > NOISY * samples.median_ns


def indistinct(a: Samples, b: Samples) -> bool:
    """Tell whether the middle 80 % of two measurements overlap: then neither may be called faster."""
    return a.p10_ns <= b.p90_ns and b.p10_ns <= a.p90_ns
