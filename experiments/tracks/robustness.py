"""The corruption-robustness track: how much accuracy each corruption of CIFAR10-C takes away."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import msgspec

from experiments.binarizers.catalog import FLOAT
from experiments.corruptions.catalog import SEVERITIES, corrupt
from experiments.data.dataset import InMemory, Split, first
from experiments.data.published.cifar10_c import load_corruption
from experiments.metrics.overall import om_robust
from experiments.tracks.networks import Network, job_of, trained
from experiments.tracks.pairs import pairs
from experiments.tracks.plan import Plan
from experiments.tracks.result import Cell, Outcome, Result
from experiments.tracks.track import Overall
from experiments.training.evaluation import evaluate

NAME = "robustness"
_PICTURES = frozenset({"cifar10", "imagenet", "image-folder", "digits"})
_MADE_FROM = "cifar10"


def cells(plan: Plan) -> list[Cell]:
    """Return pictures × corruptions × methods; the severities of a corruption are one cell.

    Methods follow each other, as they see the same pictures.
    """
    return [
        Cell(NAME, workload.data, workload.architectures[0], algorithm, kind)
        for workload in plan.workloads
        for kind, algorithm in itertools.product(plan.corruptions, plan.methods)
        if workload.data in _PICTURES
    ]


def compute(plan: Plan, cell: Cell) -> Outcome:
    """Test a network on clean pictures and on each severity; all on the same pictures."""
    network = trained(plan, cell)
    test = first(network.job.dataset.test, plan.test_samples)
    values = {"clean": evaluate(network.job, network.model, test)}
    for severity in SEVERITIES:
        split = _corrupted(plan, cell, network, test, severity)
        values[f"severity {severity}"] = evaluate(network.job, network.model, split)
    return Outcome(values, facts={"test": len(test), "source": _source(plan, cell)})


def _source(plan: Plan, cell: Cell) -> str:
    return "CIFAR10-C" if plan.corrupted and cell.data == _MADE_FROM else "generated"


def _corrupted(plan: Plan, cell: Cell, network: Network, test: Split, severity: int) -> Split:
    """Return the test pictures under a corruption: generated, or as CIFAR10-C has them."""
    if _source(plan, cell) == "generated":
        return _generated(plan, msgspec.structs.replace(cell, algorithm=FLOAT.name), severity)
    whole = load_corruption(Path(plan.corrupted), cell.variant, severity, test[[0]][0].shape[1])
    return first(whole, plan.test_samples)


@functools.lru_cache(maxsize=len(SEVERITIES))
def _generated(plan: Plan, cell: Cell, severity: int) -> InMemory:
    """Return the pictures of a corruption, which takes longer to make than a small network to look at."""
    test = first(job_of(plan, cell).dataset.test, plan.test_samples)
    raw, targets = test[list(range(len(test)))]
    return InMemory(corrupt(raw, cell.variant, severity, plan.recipe.seed), targets)


def overall(results: Sequence[Result], algorithm: str) -> Overall:
    """Return OM_robust, gaps averaged over severities; corruptions that do no harm are left out and named."""
    gaps: dict[str, list[tuple[float, float]]] = {}
    harmless = []
    for cell, full, binary in pairs(results, algorithm):
        pair = _gap(full), _gap(binary)
        if min(pair) <= 0:
            harmless.append(cell.variant)
            continue
        gaps.setdefault(cell.variant, []).append(pair)
    note = f"left out, they do no harm: {', '.join(harmless)}" if harmless else ""
    return Overall(om_robust(gaps), note) if gaps else Overall(None, note or "no results")


def _gap(outcome: Outcome) -> float:
    """Return clean minus corrupted accuracy, the mean over severities."""
    return outcome.values["clean"] - fmean(outcome.values[f"severity {severity}"] for severity in SEVERITIES)
