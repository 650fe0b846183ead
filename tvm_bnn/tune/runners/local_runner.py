"""Candidates measured on this machine, each in a process of its own."""

from __future__ import annotations

import dataclasses
import functools
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tvm

from schedules.machines import host
from schedules.machines.link import Toolchain
from schedules.machines.target import Target
from schedules.tuned.tuning_log import Kind
from schedules.tuned.workload import tensors_of
from tvm_bnn.tune.runners.building import SYMBOL, build_all
from tvm_bnn.tune.runners.forked import Outcome, in_child, in_children
from tvm_bnn.tune.runners.operands import Array, agree, operands
from tvm_bnn.tune.runners.runner import Measured, Settled
from tvm_bnn.tune.tasks import Task

_REPEATS, _REPEAT_MS = 5, 4
_TURNS, _TURN_S = 21, 2e-3


@dataclasses.dataclass(frozen=True)
class LocalRunner:
    """Times candidates on this machine.

    Parameters
    ----------
    target
        Must run here.
    threads
        That a kernel may use.
    timeout_s
        For one candidate.
    """

    target: Target
    toolchain: Toolchain = "zig"
    threads: int = 1
    timeout_s: float = 20.0
    kind: Kind = "measured"
    device: str = dataclasses.field(default_factory=host.cpu_model)

    def measure(self, task: Task, modules: Sequence[tvm.IRModule]) -> list[Measured]:
        """Time candidates, one after the other."""
        with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
            built = self._build(modules, Path(folder))
            works = [functools.partial(_time, outcome.value, task) for outcome in built if outcome.value is not None]
            times = iter(in_children(works, self.timeout_s))
            return [_measured(next(times)) if each.value is not None else Measured((), each.failure) for each in built]

    def settle(self, task: Task, modules: Sequence[tvm.IRModule]) -> list[Settled]:
        """Check candidates against the plain meaning's results, and time those that are right in turns."""
        with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
            plain, *built = self._build([task.module, *modules], Path(folder))
            if plain.value is None:
                raise RuntimeError(f"layer {task.name}: its plain meaning cannot be compiled: {plain.failure}")
            expected = in_child(functools.partial(_results, plain.value, task), self.timeout_s * _PLAIN_IS_SLOW)
            if expected.value is None:
                raise RuntimeError(f"layer {task.name}: its plain meaning cannot be run: {expected.failure}")
            checked = [self._checked(each, task, expected.value) for each in built]
            paths = [str(each.value) for each, fault in zip(built, checked, strict=True) if not fault]
            turns = in_child(functools.partial(_in_turns, paths, task), self.timeout_s * max(1, len(paths)))
            if turns.value is None:
                raise RuntimeError(f"layer {task.name}: {turns.failure} while its best candidates were timed in turns")
            times = iter(turns.value)
            return [Settled(not fault, 0.0 if fault else next(times), fault) for fault in checked]

    def _build(self, modules: Sequence[tvm.IRModule], folder: Path) -> list[Outcome[str]]:
        return build_all(modules, self.target, self.toolchain, folder, len(os.sched_getaffinity(0)))

    def _checked(self, built: Outcome[str], task: Task, expected: list[Array]) -> str:
        """Return what is wrong with a candidate; empty if nothing is."""
        if built.value is None:
            return built.failure
        found = in_child(functools.partial(_results, built.value, task), self.timeout_s)
        if found.value is None:
            return found.failure
        right = all(agree(*pair) for pair in zip(found.value, expected, strict=True))
        return "" if right else "it computes something else than the layer"


#: Nothing of the plain meaning is vectorised.
_PLAIN_IS_SLOW = 10


def _measured(outcome: Outcome[tuple[float, ...]]) -> Measured:
    return Measured(outcome.value, "") if outcome.value is not None else Measured((), outcome.failure)


def load_library(path: str, task: Task) -> tuple[Any, list[Any], int]:
    """Return a library, its arguments, and how many of them are operands."""
    arrays = operands(task.function, task.isa, task.results)
    results = [np.zeros(shape, dtype) for shape, dtype in tensors_of(task.function)[len(arrays) :]]
    return tvm.runtime.load_module(path), [tvm.runtime.tensor(array) for array in (*arrays, *results)], len(arrays)


def _time(path: str, task: Task) -> tuple[float, ...]:
    module, tensors, _ = load_library(path, task)
    evaluate = module.time_evaluator(SYMBOL, tvm.cpu(), number=1, repeat=_REPEATS, min_repeat_ms=_REPEAT_MS)
    return tuple(float(seconds) for seconds in evaluate(*tensors).results)


def _results(path: str, task: Task) -> list[Array]:
    module, tensors, count = load_library(path, task)
    module[SYMBOL](*tensors)
    return [tensor.numpy() for tensor in tensors[count:]]


def _in_turns(paths: Sequence[str], task: Task) -> list[float]:
    """Return the median time of each library, all of them measured in turns."""
    loaded = [load_library(path, task) for path in paths]
    evaluators = []
    for module, tensors, _ in loaded:
        once = module.time_evaluator(SYMBOL, tvm.cpu(), number=1, repeat=3, min_repeat_ms=1)(*tensors).mean
        evaluators.append(module.time_evaluator(SYMBOL, tvm.cpu(), number=max(1, round(_TURN_S / once)), repeat=1))
    rows = [
        [float(evaluate(*tensors).mean) for evaluate, (_, tensors, _) in zip(evaluators, loaded, strict=True)]
        for _ in range(_TURNS)
    ]
    return [statistics.median(column) for column in zip(*rows, strict=True)]
