"""The training-consumption track: how long training takes, and how much depends on hyper-parameters.

As in the paper, one picture network is trained with {Adam, SGD} × two rates each × {cosine, step}.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Literal

from experiments.metrics.overall import om_train
from experiments.tracks.networks import trained
from experiments.tracks.pairs import pairs
from experiments.tracks.plan import Plan
from experiments.tracks.result import Cell, Outcome, Result
from experiments.tracks.track import Overall
from experiments.training.recipe import Recipe

NAME = "training"
_PICTURES = frozenset({"cifar10", "imagenet", "image-folder", "digits"})
#: BiBench's choices.
RATES: tuple[tuple[Literal["adam", "sgd"], float], ...] = (("adam", 1e-3), ("adam", 1e-4), ("sgd", 1e-1), ("sgd", 1e-2))
SCHEDULES: tuple[Literal["cosine", "step"], ...] = ("cosine", "step")


def cells(plan: Plan) -> list[Cell]:
    """Return pictures × methods × hyper-parameters."""
    return [
        Cell(NAME, workload.data, workload.architectures[0], algorithm, variant)
        for workload in plan.workloads
        for algorithm, variant in itertools.product(plan.methods, VARIANTS)
        if workload.data in _PICTURES
    ]


def compute(plan: Plan, cell: Cell) -> Outcome:
    """Train with the cell's hyper-parameters."""
    network = trained(plan, cell, recipe_of(plan, cell.variant))
    return Outcome({"score": network.score, "train_seconds": network.seconds})


def recipe_of(plan: Plan, variant: str) -> Recipe:
    """Return the plan's recipe with a variant's hyper-parameters.

    From random weights, as what is compared is training; and with half the epochs, as there are so many trainings.
    """
    optimizer, rate, schedule = VARIANTS[variant]
    return dataclasses.replace(
        plan.recipe,
        optimizer=optimizer,
        learning_rate=rate,
        schedule=schedule,
        from_float=False,
        epochs=max(len(plan.recipe.stages), plan.recipe.epochs // 2),
    )


VARIANTS = {
    f"{optimizer} {rate:g} {schedule}": (optimizer, rate, schedule)
    for (optimizer, rate), schedule in itertools.product(RATES, SCHEDULES)
}


def overall(results: Sequence[Result], algorithm: str) -> Overall:
    """Return OM_train; it needs every choice of hyper-parameters."""
    seconds: list[tuple[float, float]] = []
    scores: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for cell, full, binary in pairs(results, algorithm):
        seconds.append((full.values["train_seconds"], binary.values["train_seconds"]))
        both = scores.setdefault((cell.data, cell.architecture), ([], []))
        both[0].append(full.values["score"])
        both[1].append(binary.values["score"])
    if not scores or any(len(both[0]) < len(VARIANTS) for both in scores.values()):
        return Overall(None, f"not all {len(VARIANTS)} choices of hyper-parameters have results")
    try:
        return Overall(om_train(seconds, list(scores.values())))
    except ValueError as reason:
        return Overall(None, str(reason))
