"""The distinct layers of a model, as a tuner sees them."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import tvm

from relay_passes.rewrite import MAIN, bindings, op_name
from schedules.kernels.binary import bconv2d
from schedules.machines.isa import Isa
from schedules.tuned.space import kernel_version
from schedules.tuned.workload import layer_of, normalized, signature, tensors_of, workload_hash


@dataclasses.dataclass(frozen=True)
class Task:
    """One layer to tune.

    Parameters
    ----------
    function
        Normalized and without a schedule.
    isa
        Whose kernels it runs.
    workload, signature, version
        What logs know it by.
    name
        Kernel and shape of its result.
    weight
        How often the model calls it.
    results
        How many of its last parameters are results.
    macs
        Multiply-accumulates of a call, those with padding and with unused lanes included.
    """

    function: tvm.tirx.PrimFunc
    isa: Isa
    workload: str
    signature: str
    version: str
    name: str
    weight: int
    results: int
    macs: int

    @property
    def module(self) -> tvm.IRModule:
        """What MetaSchedule works on."""
        return tvm.IRModule({"main": self.function})

    @property
    def binary(self) -> bool:
        """Whether its products are popcounts."""
        return self.name.startswith("b")


def tasks_of(module: tvm.IRModule, isa: Isa) -> list[Task]:
    """Return the distinct layers of a lowered module without schedules, the one with the most work first."""
    calls: Counter[str] = Counter()
    results: dict[str, int] = {}
    for binding in bindings(module[MAIN]):
        if op_name(binding.value) == "relax.call_tir":
            name = str(binding.value.args[0].name_hint)
            calls[name] += 1
            out = binding.value.ty_args[0]
            results[name] = len(out.fields) if hasattr(out, "fields") else 1
    found: dict[str, Task] = {}
    for name, count in calls.items():
        if layer_of(module[name], isa) is None:
            continue
        task = task_of(module[name], isa, count, results[name])
        known = found.get(task.workload)
        found[task.workload] = dataclasses.replace(task, weight=count + (known.weight if known is not None else 0))
    return sorted(found.values(), key=lambda task: -task.weight * task.macs)


def task_of(function: tvm.tirx.PrimFunc, isa: Isa, weight: int = 1, results: int = 1) -> Task:
    """Return the task of one lowered layer.

    Raises
    ------
    ValueError
        If it runs as plain loops, which have no search space.
    """
    plain = normalized(function)
    layer = layer_of(plain, isa)
    if layer is None:
        raise ValueError("the function has no anchor: plain loops have no search space")
    terms = layer.terms * (isa.word_bits if layer.kernel.anchor in bconv2d.ANCHORS else 1)
    weights = tensors_of(plain)[1][0]
    return Task(
        plain,
        isa,
        workload_hash(plain),
        signature(plain, isa),
        kernel_version(plain, isa),
        f"{layer.kernel.name} {'x'.join(map(str, layer.shape))} by {'x'.join(map(str, weights))}",
        weight,
        results,
        math.prod(layer.shape) * layer.outputs * terms,
    )
