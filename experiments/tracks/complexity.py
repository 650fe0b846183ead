"""The theoretical-complexity track: the paper's count for the full-size networks, and what the compiled graph holds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.architectures.catalog import find_architecture
from experiments.binarizers.catalog import find_binarizer
from experiments.complexity import complexity
from experiments.metrics.overall import om_comp
from experiments.tracks.artifacts import compiled
from experiments.tracks.networks import trained
from experiments.tracks.plan import Plan, load_data
from experiments.tracks.result import Cell, Outcome, Result
from experiments.tracks.track import Overall

NAME = "complexity"


def cells(plan: Plan) -> list[Cell]:
    """Return architectures × methods."""
    return [
        Cell(NAME, workload.data, architecture, algorithm)
        for workload in plan.workloads
        for architecture, algorithm in itertools.product(workload.architectures, plan.algorithms)
    ]


def compute(plan: Plan, cell: Cell) -> Outcome:
    """Count in the full-size network by the paper's rule, and in the graph that was compiled for the other tracks."""
    architecture = find_architecture(cell.architecture)
    classes = len(load_data(plan.workload(cell.data), architecture).classes)
    torch.manual_seed(plan.recipe.seed)
    model = architecture.build(find_binarizer(cell.algorithm), classes=classes).eval()
    # Counting needs shapes, no numbers.
    counted = complexity(model.to("meta"), tuple(x.to("meta") for x in architecture.example_input()))
    report = compiled(Path(plan.folder), trained(plan, cell)).report
    values = {
        "r_c": counted.r_c,
        "r_s": counted.r_s,
        "macs": float(counted.macs_total),
        "binary_macs": float(counted.macs_binary),
        "weights": float(counted.weights_total),
        "binary_weights": float(counted.weights_binary),
        "compiled_macs": float(report.macs),
        "compiled_binary_macs": float(report.binary_macs),
        "compiled_bytes": float(sum(layer.bytes_after for layer in report.layers)),
        "float_weight_bytes": float(sum(layer.bytes_before for layer in report.layers)),
    }
    planes = sorted({layer.bit_planes for layer in report.layers if layer.runs_on_bits})
    facts: dict[str, str | int | float] = {
        "binary_layers": sum(layer.binary for layer in report.layers),
        "layers": len(report.layers),
        "bit_planes": ", ".join(f"{inputs}x{weights}" for inputs, weights in planes),
    }
    return Outcome(values, facts=facts)


def overall(results: Sequence[Result], algorithm: str) -> Overall:
    """Return OM_comp over architectures, by the paper's count."""
    outcomes = [r.outcome for r in results if r.outcome is not None and r.cell.algorithm == algorithm]
    if not outcomes:
        return Overall(None, "no results")
    return Overall(om_comp([o.values["r_c"] for o in outcomes], [o.values["r_s"] for o in outcomes]))
