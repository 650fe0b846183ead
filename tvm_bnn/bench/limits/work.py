"""Something to time, of which it is known how much it does."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

#: One call of a loop lasts about as long: many times what handing it to a thread costs.
CALL_SECONDS = 1e-3


@dataclasses.dataclass(frozen=True)
class Work:
    """A call without arguments, and how much it does, in multiply-accumulates or bytes."""

    call: Callable[[], object]
    amount: float


def repeated(runs: Sequence[Callable[[int], object]], amount: float) -> Work:
    """Return a call that does each of several things for about ``CALL_SECONDS``, each on a thread of its own.

    Parameters
    ----------
    runs
        Each does so many rounds, and lets other Python threads run meanwhile.
    amount
        What one round of one of them does.
    """
    rounds = 1
    while (spent := seconds(functools.partial(runs[0], rounds))) < CALL_SECONDS / 4:
        rounds *= 4
    rounds = max(1, round(rounds * CALL_SECONDS / spent))
    return Work(_in_parallel([functools.partial(run, rounds) for run in runs]), amount * rounds * len(runs))


def _in_parallel(calls: Sequence[Callable[[], object]]) -> Callable[[], object]:
    """Return a function that makes all the calls at once and waits for them."""
    if len(calls) == 1:
        return calls[0]
    pool = _pool(len(calls))
    return lambda: [future.result() for future in [pool.submit(call) for call in calls]]


def seconds(call: Callable[[], object]) -> float:
    """Return how long one call took."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return threads that stay on a processor each: woken for a millisecond, two often share one for that long."""
    processors = itertools.cycle(sorted(os.sched_getaffinity(0)))
    return ThreadPoolExecutor(threads, initializer=lambda: os.sched_setaffinity(0, {next(processors)}))
