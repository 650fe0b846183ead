"""How well estimates rank the schedules of a layer: Spearman's rank correlation with their measured times."""

from __future__ import annotations

import dataclasses

import numpy as np
import tvm

from schedules.machines.link import Toolchain
from schedules.machines.target import Target
from tvm_bnn.tune.runners.estimated_runner import Counts, estimated_runner
from tvm_bnn.tune.runners.local_runner import LocalRunner
from tvm_bnn.tune.runners.runner import Measured, Settled
from tvm_bnn.tune.searching.search import Search
from tvm_bnn.tune.tasks import Task


@dataclasses.dataclass(frozen=True)
class Ranking:
    """What came of one layer.

    Parameters
    ----------
    schedules
        That could be both measured and estimated.
    rho
        Spearman's rank correlation of estimates and times.
    regret
        By how much the schedule with the best estimate is slower than the fastest: 0.1 for a tenth.
    model
        Of the processor.
    """

    schedules: int
    rho: float
    regret: float
    model: str


def rank(task: Task, target: Target, model: str, count: int, toolchain: Toolchain) -> dict[Counts, Ranking]:
    """Measure and estimate random schedules of a layer, the default among them, by cycles and by instructions.

    Raises
    ------
    UserError
        If estimates cannot be made here.
    """
    estimating = estimated_runner(target, toolchain)
    if model:
        estimating = dataclasses.replace(estimating, model=model)
    # The schedules that estimates choose among, without what only caches tell apart.
    search = Search(task, tvm.target.Target({**target.tvm, "num-cores": 1}), caches=False)
    modules = [candidate.schedule.mod for candidate in search.propose(count)]
    # In turns: what else the machine does meanwhile then slows all of them down.
    measured = LocalRunner(target, toolchain).settle(task, modules)
    kinds: tuple[Counts, ...] = ("cycles", "instructions")
    return {
        counts: _ranking_of(
            measured, dataclasses.replace(estimating, counts=counts).measure(task, modules), estimating.model
        )
        for counts in kinds
    }


def _ranking_of(measured: list[Settled], estimated: list[Measured], model: str) -> Ranking:
    both = [
        (truth.seconds, estimate.seconds[0])
        for truth, estimate in zip(measured, estimated, strict=True)
        if truth.exact and estimate.seconds
    ]
    return ranking(np.array([pair[0] for pair in both]), np.array([pair[1] for pair in both]), model)


def ranking(times: np.ndarray, estimates: np.ndarray, model: str = "") -> Ranking:
    """Return how well estimates rank what took so long.

    Parameters
    ----------
    times, estimates
        Of the same schedules, at least two.
    model
        Of the processor.
    """
    from scipy.stats import spearmanr

    chosen = times[int(np.argmin(estimates))]
    return Ranking(len(times), float(spearmanr(times, estimates).statistic), float(chosen / times.min() - 1), model)
