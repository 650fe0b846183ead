"""What a compilation takes from tuning: for each workload the schedule that was proven exact and fastest.

A log has a folder for each target. In it ``database_workload.json`` and ``database_tuning_record.json`` are
MetaSchedule's, with every measurement; ``sessions.jsonl`` says on what and when they were made; ``verdicts.jsonl`` has
the outcomes: candidates that were checked against the layer's plain meaning, and timed in turns with the default
schedule. Only verdicts reach a compilation. Nothing here imports TVM.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from schedules.errors import UserError
from schedules.files.line_file import Warn, read
from schedules.machines import host
from schedules.machines.target import TARGETS, Target
from schedules.tuned.trace_key import register_tile

VERDICTS = "verdicts.jsonl"
SESSIONS = "sessions.jsonl"
WORKLOADS = "database_workload.json"
RECORDS = "database_tuning_record.json"
Kind = Literal["measured", "estimated"]
#: Folders of estimates have this at their end: the two kinds never share one.
_ESTIMATED = ".estimated"
#: The logs that come with the package.
SHIPPED = Path(__file__).parent


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the tuner: what for, on what, with what, when.

    Parameters
    ----------
    target
        The log's name of it, and TVM's description.
    kind
        Whether its numbers are times, or estimates.
    device
        The processor that was measured on, or the model of one that estimated.
    """

    target: str
    tvm_target: dict[str, Any]
    kind: Kind
    device: str
    threads: int
    versions: dict[str, str]
    date: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that was held against the layer's plain meaning and against the default schedule.

    Parameters
    ----------
    workload
        MetaSchedule's hash of the layer.
    signature
        Kernel, instruction set and tensors, for people, and to recognise older versions of the kernel by.
    version
        Of the kernel: its meaning and its space.
    trace
        The schedule.
    exact
        Whether it computes what the layer means. If not, it was wrong, and nobody may use it.
    seconds, default_seconds
        Of a call; 0 if it is not exact.
    macs
        Multiply-accumulates of a call.
    trials
        Candidates that had been measured for this workload.
    """

    workload: str
    signature: str
    version: str
    trace: list[Any]
    exact: bool
    seconds: float
    default_seconds: float
    macs: int
    trials: int
    kind: Kind
    target: str
    device: str
    threads: int
    tvm: str
    date: str

    @property
    def gain(self) -> float:
        """How many times as fast as the default schedule."""
        return self.default_seconds / self.seconds if self.seconds else 0.0


def log_name(target: Target) -> str:
    """Return what a log calls a target: the processor matters, not which board it is on."""
    if target.machine != "x86_64":
        name = f"{target.machine}-{target.tvm.get('mcpu', 'generic')}"
    else:
        name = next((known.name for known in TARGETS if known.tvm.get("mcpu") == target.tvm.get("mcpu")), "x86_64")
    options = _without_extras(target)
    if any(_without_extras(known) == options for known in TARGETS):
        return name
    return f"{name}-{hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:6]}"


def _without_extras(target: Target) -> dict[str, Any]:
    """Return TVM's target less the features that only kernels of their own use: other kernels are the same without."""
    extras = host.EXTRAS.get(target.isa, {}).values()
    attributes = [name for name in target.tvm.get("mattr", ()) if name not in extras]
    rest = {key: value for key, value in target.tvm.items() if key != "mattr"}
    return {**rest, "mattr": attributes} if attributes else rest


def folder_of(log: Path, target: Target, kind: Kind = "measured") -> Path:
    """Return a target's folder in a log."""
    return log / (log_name(target) + (_ESTIMATED if kind == "estimated" else ""))


def existing(log: Path | None) -> Path | None:
    """Return the log that a user named, if any.

    Raises
    ------
    UserError
        If there is none.
    """
    if log is not None and not log.is_dir():
        raise UserError(f"log '{log}': no such folder; 'python -m tvm_bnn.tune MODEL --log {log}' makes one")
    return log


def verdicts(folder: Path, warn: Warn) -> list[Verdict]:
    """Return the verdicts of a folder, oldest first; lines that are none are skipped with a warning."""
    found = []
    for number, value in read(folder / VERDICTS, warn):
        try:
            verdict = msgspec.convert(value, Verdict)
            register_tile(verdict.trace)
            found.append(verdict)
        except ValueError as error:  # msgspec's are such, too
            warn(f"log '{folder / VERDICTS}', line {number}: {error}; skipped")
    return found


def best(found: list[Verdict]) -> dict[str, Verdict]:
    """Return the latest exact verdict for each workload and version of a kernel, by the workload's hash.

    Each was timed in turns with the default schedule, after all that was known before it.
    """
    return {verdict.workload: verdict for verdict in found if verdict.exact}


def workload_lines(folder: Path, warn: Warn) -> Iterator[tuple[int, list[str]]]:
    """Yield index and line, a hash and a serialised function, of each workload of MetaSchedule's database."""
    for number, value in read(folder / WORKLOADS, warn):
        try:
            yield number - 1, msgspec.convert(value, Annotated[list[str], msgspec.Meta(min_length=2, max_length=2)])
        except msgspec.ValidationError as error:
            warn(f"log '{folder / WORKLOADS}', line {number}: no workload ({error}); skipped")


def sessions(folder: Path, warn: Warn) -> list[Session]:
    """Return the sessions that made a folder, oldest first."""
    found = []
    for number, value in read(folder / SESSIONS, warn):
        try:
            found.append(msgspec.convert(value, Session))
        except msgspec.ValidationError as error:
            warn(f"log '{folder / SESSIONS}', line {number}: {error}; skipped")
    return found
