"""Candidates scored by a model of their processor, for those who do not have the board yet. Estimates, no times."""

from __future__ import annotations

import dataclasses
import functools
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import tvm

from rpc.boards import emulation
from schedules.errors import UserError
from schedules.machines.link import Toolchain
from schedules.machines.target import Target
from schedules.tuned.tuning_log import Kind
from tvm_bnn.tune.runners.counted_library import run_counted
from tvm_bnn.tune.runners.forked import Outcome, in_children
from tvm_bnn.tune.runners.operands import Array, agree, operands
from tvm_bnn.tune.runners.runner import Measured, Settled
from tvm_bnn.tune.runners.static_cycles import analyzer, cycles_of, instructions_of, model_of
from tvm_bnn.tune.tasks import Task

Counts: TypeAlias = Literal["cycles", "instructions"]
#: Estimates are cycles; logs keep them as what they would take at a thousand million of them a second.
SECONDS_A_CYCLE = 1e-9


@dataclasses.dataclass(frozen=True)
class EstimatedRunner:
    """Scores candidates by LLVM's model of a processor and by what they execute, natively or under emulation.

    Parameters
    ----------
    target
        Whose code is scored.
    model
        What llvm-mca calls its processor.
    device
        What logs say in place of a processor.
    counts
        What is counted: cycles by the model, or instructions, as if each took a cycle.
    timeout_s
        For one candidate, compiling included.
    """

    target: Target
    model: str
    device: str
    toolchain: Toolchain = "zig"
    timeout_s: float = 120.0
    threads: int = 1
    kind: Kind = "estimated"
    counts: Counts = "cycles"

    def measure(self, task: Task, modules: Sequence[tvm.IRModule]) -> list[Measured]:
        """Estimate candidates, several at a time: nothing here takes time."""
        return [
            Measured((outcome.value[0],)) if outcome.value is not None else Measured((), outcome.failure)
            for outcome in self._run(task, modules)
        ]

    def settle(self, task: Task, modules: Sequence[tvm.IRModule]) -> list[Settled]:
        """Check candidates against the plain meaning's results."""
        plain, *found = self._run(task, [task.module, *modules])
        if plain.value is None:
            raise RuntimeError(f"layer {task.name}: its plain meaning cannot be run: {plain.failure}")
        return [self._settled(outcome, plain.value[1]) for outcome in found]

    def _settled(self, outcome: Outcome[tuple[float, list[Array]]], expected: list[Array]) -> Settled:
        if outcome.value is None:
            return Settled(False, 0.0, outcome.failure)
        if not all(agree(*pair) for pair in zip(outcome.value[1], expected, strict=True)):
            return Settled(False, 0.0, "it computes something else than the layer")
        return Settled(True, outcome.value[0])

    def _run(self, task: Task, modules: Sequence[tvm.IRModule]) -> list[Outcome[tuple[float, list[Array]]]]:
        works = [functools.partial(self._estimate, task, module) for module in modules]
        return in_children(works, self.timeout_s, len(os.sched_getaffinity(0)))

    def _estimate(self, task: Task, module: tvm.IRModule) -> tuple[float, list[Array]]:
        inputs = operands(task.function, task.isa, task.results)
        with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
            results, blocks = run_counted(task, module, self.target, self.toolchain, inputs, Path(folder))
        if self.counts == "instructions":
            return instructions_of(blocks) * SECONDS_A_CYCLE, results
        return cycles_of(blocks, self.target, self.model) * SECONDS_A_CYCLE, results


def estimated_runner(target: Target, toolchain: Toolchain) -> EstimatedRunner:
    """Return what estimates for a target.

    Raises
    ------
    UserError
        If llvm-mca or the emulator is missing, or LLVM has no model of the processor.
    """
    if target.machine not in {"x86_64", "aarch64"}:
        raise UserError(
            f"target '{target.name}': neither does it run here, nor can code for {target.machine} be estimated; "
            "name a board that measures with --device"
        )
    found = analyzer()
    missing = emulation.prepare(target.machine)
    if missing is not None:
        raise UserError(f"target '{target.name}': {missing}")
    model = model_of(target)
    return EstimatedRunner(target, model, f"llvm-mca {found.version}, model of {model}", toolchain)
