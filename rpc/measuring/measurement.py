"""The measurement protocol: warm up, calibrate, interleave, keep every sample."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

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


#: Runs a function so many times in a row and returns the ns that they took.
Timer: TypeAlias = Callable[[int], float]


def measure(calls: Mapping[str, Callable[[], object]], repeats: int = 50) -> dict[str, Samples]:
    """Time several functions of this process, taking turns; see :func:`interleave`.

    Parameters
    ----------
    calls
        Functions without arguments, by name.
    repeats
        Samples of each.
    """
    return interleave({name: _timer(call) for name, call in calls.items()}, repeats)


def interleave(
    timers: Mapping[str, Timer], repeats: int, between: Callable[[], None] | None = None
) -> dict[str, Samples]:
    """Time several things, here or on a device, taking turns: what slows the machine for a while slows all of them.

    Each sample follows an untimed call: the caches hold what ran before, and a function that fills a sample with few
    calls would pay for that.

    Parameters
    ----------
    timers
        What runs and times each, by name.
    repeats
        Samples of each.
    between
        Called before every round, for example to let a board cool down.
    """
    counts = {name: _calibrate(timer) for name, timer in timers.items()}
    samples: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(repeats):
        if between is not None:
            between()
        for name, timer in timers.items():
            timer(1)
            samples[name].append(timer(counts[name]) / counts[name])
    return {name: Samples(tuple(values), counts[name]) for name, values in samples.items()}


def _calibrate(timer: Timer) -> int:
    """Warm up and return how many calls make a sample."""
    calls, elapsed = 1, timer(1)
    while elapsed < WARM_UP_SECONDS * 1e9:
        # As many calls as are missing, by the last ones, but not many times more: the first ones are slow.
        calls = min(8 * calls, max(calls + 1, math.ceil(calls * WARM_UP_SECONDS * 1e9 / max(elapsed, 1))))
        elapsed = timer(calls)
    return max(1, round(SAMPLE_SECONDS * 1e9 * calls / elapsed))


def _timer(call: Callable[[], object]) -> Timer:
    def run(count: int) -> float:
        start = time.perf_counter_ns()
        for _ in range(count):
            call()
        return time.perf_counter_ns() - start

    return run
