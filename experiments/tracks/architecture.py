"""The neural-architecture track: what accuracy is left in convolutional nets, transformers and perceptrons."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from experiments.architectures.catalog import find_architecture
from experiments.metrics.overall import KINDS, om_arch
from experiments.tracks import learning
from experiments.tracks.pairs import pairs
from experiments.tracks.plan import Plan
from experiments.tracks.result import Cell, Outcome, Result
from experiments.tracks.track import Overall

NAME = "architecture"
#: What is told by a class of the whole input, so that scores mean the same in all three kinds.
_TASKS = ("image", "text", "points", "audio")


def cells(plan: Plan) -> list[Cell]:
    """Return architectures × methods, each architecture on all data that it learns."""
    return [
        Cell(NAME, workload.data, architecture, algorithm)
        for workload in plan.workloads
        for architecture, algorithm in itertools.product(workload.architectures, plan.methods)
        if find_architecture(architecture).task in _TASKS
    ]


def compute(plan: Plan, cell: Cell) -> Outcome:
    """Train, and test on the whole test split; what the learning track has trained is taken from there."""
    return learning.compute(plan, cell)


def overall(results: Sequence[Result], algorithm: str) -> Overall:
    """Return OM_arch; it needs an architecture of each kind."""
    ratios: dict[str, list[float]] = {}
    for cell, full, binary in pairs(results, algorithm):
        kind = find_architecture(cell.architecture).kind
        if full.values["score"] > 0:
            ratios.setdefault(kind, []).append(binary.values["score"] / full.values["score"])
    missing = [kind for kind in KINDS if kind not in ratios]
    if missing:
        return Overall(None, f"no results of {' and '.join(missing)} architectures")
    return Overall(om_arch(ratios))
