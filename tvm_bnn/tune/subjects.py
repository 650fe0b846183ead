"""Where the layers come from that are tuned: a model, or what the benchmark measures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from relay_passes import pipeline
from relay_passes.analysis.layers import layers_of
from relay_passes.simplify.settle_sign_zero import SignZero
from schedules.errors import UserError
from schedules.machines.target import Target
from tvm_bnn.bench.networks.catalog import NETWORKS
from tvm_bnn.bench.suites.compiled_layer import lowered_layer
from tvm_bnn.bench.workloads import WORKLOADS, operands_of
from tvm_bnn.compile.float_layers import FloatLayers, packing
from tvm_bnn.compile.refusal import refuse_without_binary_layers
from tvm_bnn.front_ends.opening import Given, open_model
from tvm_bnn.tune.tasks import Task, tasks_of

LAYERS = "layers"


def tasks_of_model(
    model: Given | Path,
    example_inputs: Sequence[torch.Tensor],
    target: Target,
    batch: int | None = None,
    sign_zero: SignZero = "exact",
    float_layers: FloatLayers = "fp32",
    trust: bool = False,
) -> list[Task]:
    """Return the distinct layers that a compilation of a model would schedule."""
    packed = packing(target, float_layers)
    source = open_model(model, example_inputs, batch, trust)
    simplified = pipeline.run(source.read().module, pipeline.simplify(sign_zero))
    refuse_without_binary_layers(source.name, layers_of(simplified))
    passes = pipeline.canonicalize() + packed + pipeline.unscheduled()
    return tasks_of(pipeline.run(simplified, passes), target.isa)


def tasks_of_benchmark(name: str, target: Target) -> list[Task]:
    """Return the layers of the benchmark's suite ``layers``, or of one of its networks.

    Raises
    ------
    UserError
        If none is called so.
    """
    if name == LAYERS:
        distinct = {task.workload: task for _, task in benchmark_layers("", target)}
        return list(distinct.values())
    networks = [network for network in NETWORKS if network.name.lower() == name.lower()]
    if not networks:
        names = ", ".join((LAYERS, *(network.name for network in NETWORKS)))
        raise UserError(f"model 'bench:{name}': the benchmark has {names}")
    return tasks_of_model(networks[0].build(), (networks[0].example(),), target)


def tasks_named(name: Path, target: Target) -> list[Task]:
    """Return the layers of a model's file, or of what the benchmark measures: ``bench:layers``, ``bench:NAME``.

    Raises
    ------
    UserError
        If there is no such model.
    """
    place, _, part = str(name).partition(":")
    return tasks_of_benchmark(part, target) if place == "bench" else tasks_of_model(name, (), target)


def benchmark_layers(part: str, target: Target) -> list[tuple[str, Task]]:
    """Return the benchmark's layers whose names contain ``part``."""
    return [
        (workload.name, task)
        for workload in WORKLOADS
        if part in workload.name
        for task in tasks_of(lowered_layer(workload, operands_of(workload), target.isa), target.isa)
    ]
