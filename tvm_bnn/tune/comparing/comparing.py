"""The schedule that a compilation takes for a layer against the default one, timed in turns."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tvm
import tvm_ffi

from rpc.measuring.measurement import Samples, Timer, interleave
from schedules.errors import UserError
from schedules.files.line_file import Warn
from schedules.machines.link import Toolchain
from schedules.machines.target import Target
from schedules.tuned.lookup import DEFAULT, Tuned, schedule_tuned
from tvm_bnn.tune.runners.building import SYMBOL, build_all
from tvm_bnn.tune.runners.forked import in_child
from tvm_bnn.tune.runners.local_runner import load_library
from tvm_bnn.tune.runners.operands import agree
from tvm_bnn.tune.tasks import Task

_TIMEOUT_S = 120.0
_MIDDLE = (10, 50, 90)


@dataclasses.dataclass(frozen=True)
class Compared:
    """One layer.

    Parameters
    ----------
    task
        The layer.
    origin
        Where the schedule comes from that a compilation takes: ``log``, ``shipped`` or ``default``.
    choice
        Kernel and tile of that schedule.
    default
        Times of the default schedule.
    tuned
        Times of the one that is taken, sample by sample beside those of the default; None where it is the default.
    """

    task: Task
    origin: str
    choice: str
    default: Samples
    tuned: Samples | None

    @property
    def gain(self) -> tuple[float, float, float]:
        """How many times as fast as the default: the middle of the paired samples between their 10 % and 90 %."""
        if self.tuned is None:
            return 1.0, 1.0, 1.0
        low, middle, high = np.percentile(np.divide(self.default.samples_ns, self.tuned.samples_ns), _MIDDLE)
        return float(low), float(middle), float(high)


def compare(
    task: Task, target: Target, logs: Sequence[Tuned], toolchain: Toolchain, repeats: int, warn: Warn
) -> Compared:
    """Build a layer with both schedules, see that they compute the same, and time them in turns.

    Raises
    ------
    UserError
        If one of the two cannot be built or run, or they disagree.
    """
    default, choice, _ = schedule_tuned(task.function, task.isa, (), warn)
    taken, chosen, origin = schedule_tuned(task.function, task.isa, logs, warn)
    # A search may end where it began.
    functions = [default] if origin == DEFAULT or tvm_ffi.structural_equal(default, taken) else [default, taken]
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        modules = [tvm.IRModule({"main": function}) for function in functions]
        built = build_all(modules, target, toolchain, Path(folder), 1)
        failures = [outcome.failure for outcome in built if outcome.value is None]
        if not failures:
            times = in_child(functools.partial(_timed, [str(each.value) for each in built], task, repeats), _TIMEOUT_S)
            failures = [] if times.value is not None else [times.failure]
    if failures or times.value is None:
        raise UserError(f"layer {task.name}, schedule from {origin}: {failures[0]}")
    first, *others = times.value
    tuned = others[0] if others else None
    return Compared(task, origin, str(choice if tuned is None else chosen), first, tuned)


def _timed(paths: Sequence[str], task: Task, repeats: int) -> list[Samples]:
    timers: dict[str, Timer] = {}
    results = []
    for path in paths:
        module, tensors, count = load_library(path, task)
        module[SYMBOL](*tensors)
        results.append([tensor.numpy() for tensor in tensors[count:]])
        timers[path] = functools.partial(_time, module, tensors)
    if not all(agree(*pair) for pair in zip(results[0], results[-1], strict=True)):
        raise ValueError("it computes something else than the default")
    return list(interleave(timers, repeats).values())


def _time(module: Any, tensors: Sequence[Any], count: int) -> float:
    """Return the ns of so many calls, without Python between them."""
    evaluate = module.time_evaluator(SYMBOL, tvm.cpu(), number=count, repeat=1)
    return float(evaluate(*tensors).mean) * count * 1e9
