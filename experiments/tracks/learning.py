"""The learning-task track: what accuracy is left on each task, as a share of full precision's."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from experiments.metrics.overall import om_task
from experiments.tracks.networks import trained
from experiments.tracks.pairs import pairs
from experiments.tracks.plan import Plan
from experiments.tracks.result import Cell, Outcome, Result
from experiments.tracks.track import Overall

NAME = "learning"


def cells(plan: Plan) -> list[Cell]:
    """Return data × methods, with the architecture that is typical of the data."""
    return [
        Cell(NAME, workload.data, workload.architectures[0], algorithm)
        for workload, algorithm in itertools.product(plan.workloads, plan.methods)
    ]


def compute(plan: Plan, cell: Cell) -> Outcome:
    """Train, and test on the whole test split."""
    network = trained(plan, cell)
    dataset = network.job.dataset
    facts: dict[str, str | int | float] = {"metric": dataset.metric, "task": dataset.task, "test": len(dataset.test)}
    return Outcome({"score": network.score, "train_seconds": network.seconds}, facts=facts)


def overall(results: Sequence[Result], algorithm: str) -> Overall:
    """Return OM_task over the tasks; data on which full precision learns nothing is left out and named."""
    ratios: dict[str, list[float]] = {}
    useless = []
    for cell, full, binary in pairs(results, algorithm):
        if full.values["score"] <= 0:
            useless.append(cell.data)
            continue
        ratios.setdefault(cell.data, []).append(binary.values["score"] / full.values["score"])
    note = f"left out, full precision scores nothing: {', '.join(useless)}" if useless else ""
    return Overall(om_task(ratios), note) if ratios else Overall(None, note or "no results")
