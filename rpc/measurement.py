"""The measurement protocol: warm up, calibrate, interleave, keep every sample."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

#: A sample lasts at least this long, so that the clock and the call's own noise vanish in it.
SAMPLE_SECONDS = 2e-3
WARM_UP_SECONDS = 0.05


class Samples(msgspec.Struct, frozen=True):
    """Times of one call in ns: each sample is the mean over ``calls_a_sample`` calls in a row."""

    samples_ns: tuple[float, ...]
    calls_a_sample: int

    @property
    def median_ns(self) -> float:
        """The middle sample."""
        return float(np.median(self.samples_ns))

    @property
    def p10_ns(self) -> float:
        """A tenth of the samples are faster."""
        return float(np.percentile(self.samples_ns, 10))

    @property
    def p90_ns(self) -> float:
        """A tenth of the samples are slower."""
        return float(np.percentile(self.samples_ns, 90))

    @property
    def mad_ns(self) -> float:
        """Median absolute deviation from the median."""
        return float(np.median(np.abs(np.asarray(self.samples_ns) - self.median_ns)))


def measure(calls: Mapping[str, Callable[[], object]], repeats: int = 50) -> dict[str, Samples]:
    """Time several functions, taking turns: what slows the machine down for a while slows all of them.

    Each sample follows an untimed call: the caches hold what ran before, and a function that fills a sample with few
    calls would pay for that.

    Parameters
    ----------
    calls
        Functions without arguments, by name.
    repeats
        Samples of each.
    """
    counts = {name: _calibrate(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            call()
            samples[name].append(_time(call, counts[name]) / counts[name])
    return {name: Samples(tuple(values), counts[name]) for name, values in samples.items()}


def _calibrate(call: Callable[[], object]) -> int:
    """Warm up and return how many calls make a sample."""
    end = time.perf_counter() + WARM_UP_SECONDS
    calls, start = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() < end:
        call()
        calls += 1
    seconds = (time.perf_counter() - start) / calls
    return max(1, round(SAMPLE_SECONDS / seconds))


def _time(call: Callable[[], object], count: int) -> int:
    start = time.perf_counter_ns()
    for _ in range(count):
        call()
    return time.perf_counter_ns() - start
