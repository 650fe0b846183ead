"""Where a compiled network's time goes: every kernel call, timed inside the running network."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import tvm
from tvm import relax
from tvm.runtime.vm import VirtualMachine

from relay_passes.analysis.layers import Layer
from relay_passes.rewrite import MAIN
from rpc.measuring.measurement import Samples
from schedules.lowering import stack
from schedules.machines.target import Target
from tvm_bnn.artifacts.artifact import KernelUse
from tvm_bnn.compile import backend

Array = npt.NDArray[Any]
_WARM_UP = 3


@dataclasses.dataclass(frozen=True)
class Step:
    """One kernel call of a network, in order: whose it is, its times, and the bytes of its operands and results."""

    use: KernelUse
    samples: Samples
    touched_bytes: int = 0


def watch_kernels(
    scheduled: tvm.IRModule, layers: Sequence[Layer], inputs: Sequence[Array], target: Target, repeats: int
) -> list[Step]:
    """Build a scheduled module as bytecode that can be watched, and time each of its calls on some inputs.

    Raises
    ------
    RuntimeError
        If the calls that were seen are not those of the module.
    """
    executable = relax.build(
        scheduled, target=tvm.target.Target(target.tvm), tir_pipeline=stack.PIPELINE, exec_mode="bytecode"
    )
    machine = VirtualMachine(executable.jit(), tvm.cpu())
    uses = backend.kernel_uses(scheduled, layers)
    tensors = [tvm.runtime.tensor(array) for array in inputs]
    rows = _watch(machine, tensors, {use.function for use in uses}, repeats)
    seen = [name for name, _ in rows[0]]
    if seen != [use.function for use in uses]:
        raise RuntimeError(f"waterfall: {len(uses)} kernel calls were compiled, {len(seen)} seen")
    samples = [Samples(tuple(float(row[index][1]) for row in rows), 1) for index in range(len(uses))]
    return [Step(*parts) for parts in zip(uses, samples, backend.touched_bytes(scheduled), strict=True)]


def _watch(
    machine: VirtualMachine, inputs: Sequence[Any], kernels: set[str], repeats: int
) -> list[list[tuple[str, int]]]:
    """Return, for each repetition, the name of every kernel called and its time in ns."""
    row: list[tuple[str, int]] = []
    start = 0

    def watch(_function: Any, name: str, before: bool, _result: Any, *_arguments: Any) -> None:
        nonlocal start
        if before:
            start = time.perf_counter_ns()
        elif name in kernels:
            row.append((name, time.perf_counter_ns() - start))

    machine.set_instrument(watch)
    rows = []
    for _ in range(_WARM_UP + repeats):
        row.clear()
        machine[MAIN](*inputs)
        rows.append(list(row))
    return rows[_WARM_UP:]
