"""MetaSchedule's JSON database, written so that it survives: every measurement of a target.

The format is MetaSchedule's own, so its ``JSONDatabase`` reads these files. But TVM 0.27 writes them without a lock,
and cannot read a file with a cut-off line; an empty one crashes it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import tvm

from schedules.files.line_file import Warn, append, locked, read
from schedules.tuned.trace import to_json
from schedules.tuned.trace_key import Trace, key_of
from schedules.tuned.tuning_log import RECORDS, WORKLOADS, workload_lines
from tvm_bnn.tune.runners.runner import Measured
from tvm_bnn.tune.searching.metaschedule import ms
from tvm_bnn.tune.tasks import Task

#: MetaSchedule's sign for a candidate that could not be measured.
FAILED_S = 1e10


@dataclasses.dataclass(frozen=True)
class Entry:
    """One measurement: which schedule of which layer, its times, ``FAILED_S`` if it has none, and where it stands."""

    workload: str
    trace: Trace
    seconds: tuple[float, ...]
    place: str = ""

    @property
    def key(self) -> str:
        """What tells it from other candidates of its layer."""
        return key_of(self.trace)

    @property
    def mean_s(self) -> float:
        """What MetaSchedule sorts by."""
        return sum(self.seconds) / len(self.seconds)

    @property
    def failed(self) -> bool:
        """Whether the candidate could not be measured."""
        return self.mean_s >= FAILED_S


def entries(folder: Path, warn: Warn) -> list[Entry]:
    """Return all measurements of a folder, in order; lines that are none are skipped with a warning."""
    hashes = {index: line[0] for index, line in workload_lines(folder, warn)}
    found = []
    for number, value in read(folder / RECORDS, warn):
        place = f"log '{folder / RECORDS}', line {number}"
        try:
            index, (trace, seconds, _, _) = msgspec.convert(value, tuple[int, tuple[list[Any], list[float], Any, Any]])
        except msgspec.ValidationError as error:
            warn(f"{place}: no tuning record ({error}); skipped")
            continue
        if index not in hashes or not seconds or len(trace) != _PARTS_OF_A_TRACE:
            warn(f"{place}: a record without {'its workload' if index not in hashes else 'times'}; skipped")
            continue
        found.append(Entry(hashes[index], trace, tuple(seconds), place))
    return found


_PARTS_OF_A_TRACE = 2


def commit(
    folder: Path, task: Task, target: tvm.target.Target, measured: Sequence[tuple[tvm.s_tir.Schedule, Measured]]
) -> None:
    """Append a round's measurements, all of them or none; of those that another tuner took meanwhile, the first stay.

    Raises
    ------
    UserError
        If the disk is full, or the folder cannot be written.
    """
    workload = ms.database.Workload(task.module)
    information = ms.arg_info.ArgInfo.from_prim_func(task.function)
    with locked(folder):
        index = _index_of(folder, task, workload)
        known = {entry.key for entry in entries(folder, _unheard) if entry.workload == task.workload}
        lines = []
        for schedule, result in measured:
            # The search marks where it was done; the same candidate, replayed from the log, is not marked.
            trace = to_json(schedule)
            if key_of(trace) in known:
                continue
            seconds = list(result.seconds) or [FAILED_S]
            record = ms.database.TuningRecord(schedule.trace, workload, seconds, target, information)
            lines.append(_line([index, [trace, *record.as_json()[1:]]]))
        append(folder / RECORDS, lines)


def _index_of(folder: Path, task: Task, workload: Any) -> int:
    """Return the line, from 0, of a layer among the folder's workloads; the caller holds the lock."""
    for index, (known, _) in workload_lines(folder, _unheard):
        if known == task.workload:
            return index
    append(folder / WORKLOADS, [_line(workload.as_json())])
    return (folder / WORKLOADS).read_bytes().count(b"\n") - 1


def _unheard(_message: str) -> None:
    """Whoever reads the log to learn from it has heard it."""


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
