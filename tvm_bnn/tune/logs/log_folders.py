"""Work on whole logs: put two together, take out what a compilation needs, drop what nobody does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from schedules.errors import UserError
from schedules.files.line_file import Warn, append, locked, read, replace
from schedules.tuned.trace_key import key_of
from schedules.tuned.tuning_log import RECORDS, SESSIONS, VERDICTS, WORKLOADS, Verdict, best, verdicts, workload_lines


def folders(log: Path) -> list[Path]:
    """Return a log's folders, one for each target.

    Raises
    ------
    UserError
        If there is no log.
    """
    found = [path for path in sorted(log.iterdir()) if path.is_dir() and _is_log(path)] if log.is_dir() else []
    if _is_log(log):
        raise UserError(f"log '{log}': the folder of one target; name the one that it is in, '{log.resolve().parent}'")
    if not found:
        raise UserError(f"log '{log}': {'holds no target' if log.is_dir() else _absent(log)}; tvm_bnn.tune makes one")
    return found


def _absent(log: Path) -> str:
    return "not a folder" if log.exists() else "no such folder"


def _is_log(path: Path) -> bool:
    return any((path / name).exists() for name in (VERDICTS, RECORDS))


def lines(path: Path, warn: Warn) -> list[Any]:
    """Return the values of a file's lines."""
    return [value for _, value in read(path, warn)]


def merge(source: Path, into: Path, warn: Warn) -> list[str]:
    """Add a log to another; return a line for each target.

    Raises
    ------
    UserError
        If a target was measured on different processors: their times cannot be compared.
    """
    _refuse_itself(source, into)
    return [_merge(folder, into / folder.name, warn) for folder in folders(source)]


def _refuse_itself(source: Path, into: Path) -> None:
    if source.resolve() == into.resolve():
        raise UserError(f"log '{into}': the same as '{source}'; name another one to write to")


def _merge(source: Path, into: Path, warn: Warn) -> str:
    added = verdicts(source, warn)
    present = verdicts(into, warn)
    _refuse_other_devices(source, into, added, present)
    fresh = [verdict for verdict in added if verdict not in present]
    records = _records(source, warn)
    known = {(workload, key_of(record[0])) for workload, record in _records(into, warn)}
    missing = [(workload, record) for workload, record in records if (workload, key_of(record[0])) not in known]
    texts = {line[0]: line for _, line in workload_lines(source, warn)}
    with locked(into):
        here = {line[0] for _, line in workload_lines(into, warn)}
        new = [workload for workload in dict.fromkeys(workload for workload, _ in missing) if workload not in here]
        append(into / WORKLOADS, [_line(texts[workload]) for workload in new])
        numbers = _numbers(into, warn)
        append(into / RECORDS, [_line([numbers[workload], record]) for workload, record in missing])
        append(into / SESSIONS, [_line(value) for value in lines(source / SESSIONS, warn)])
        append(into / VERDICTS, [msgspec.json.encode(verdict) for verdict in _in_order(fresh, present)])
    return f"{into.name}: {len(missing)} measurements and {len(fresh)} verdicts added"


def _refuse_other_devices(source: Path, into: Path, added: list[Verdict], present: list[Verdict]) -> None:
    ours, theirs = ({verdict.device for verdict in some} for some in (present, added))
    if ours and theirs and ours != theirs:
        raise UserError(
            f"log '{source}': measured on {', '.join(sorted(theirs))}, and '{into}' on {', '.join(sorted(ours))};"
            " times of different processors cannot be compared: keep the logs apart"
        )


def _in_order(fresh: list[Verdict], present: list[Verdict]) -> list[Verdict]:
    """Return new verdicts such that the last one for each layer is the one with the greatest gain."""
    best_here = best(present)
    held = [
        best_here[verdict.workload]
        for verdict in fresh
        if verdict.workload in best_here
        and best_here[verdict.workload].version == verdict.version
        and best_here[verdict.workload].gain > verdict.gain
    ]
    return [*sorted(fresh, key=lambda verdict: verdict.gain), *held]


def export(source: Path, into: Path, warn: Warn) -> list[str]:
    """Write the best verdicts of a log into another; return a line for each target."""
    _refuse_itself(source, into)
    said = []
    for folder in folders(source):
        found = best(verdicts(folder, warn))
        with locked(into / folder.name):
            kept = {**best(verdicts(into / folder.name, warn)), **found}
            replace(into / folder.name / VERDICTS, [msgspec.json.encode(verdict) for verdict in kept.values()])
        said.append(f"{folder.name}: {len(found)} schedules written, {len(kept)} there")
    return said


def prune(log: Path, warn: Warn) -> list[str]:
    """Drop broken lines, repeated measurements and superseded verdicts; return a line for each target."""
    return [_prune(folder, warn) for folder in folders(log)]


def _prune(folder: Path, warn: Warn) -> str:
    with locked(folder):
        kept: dict[tuple[str, str], list[Any]] = {}
        for workload, record in _records(folder, warn):
            kept.setdefault((workload, key_of(record[0])), record)
        settled = verdicts(folder, warn)
        last = [*(verdict for verdict in settled if not verdict.exact), *best(settled).values()]
        # Records first: until the workloads follow, those that point to a broken line are gone already.
        numbers = _numbers(folder, warn)
        replace(folder / RECORDS, [_line([numbers[workload], record]) for (workload, _), record in kept.items()])
        _mend_workloads(folder)
        replace(folder / VERDICTS, [msgspec.json.encode(verdict) for verdict in last])
    return f"{folder.name}: {len(kept)} measurements and {len(last)} verdicts kept"


def _mend_workloads(folder: Path) -> None:
    """Put a copy of another line in the place of each broken one: records name workloads by the number of their line.

    MetaSchedule does not mind a workload that occurs twice; an absent or empty line it cannot read.
    """
    whole = dict(workload_lines(folder, lambda _message: None))
    if whole:
        first = next(iter(whole.values()))
        replace(folder / WORKLOADS, [_line(whole.get(index, first)) for index in range(max(whole) + 1)])


def _records(folder: Path, warn: Warn) -> list[tuple[str, list[Any]]]:
    """Return the workload and the record of each measurement."""
    hashes = {index: line[0] for index, line in workload_lines(folder, warn)}
    found = []
    for number, value in read(folder / RECORDS, warn):
        try:
            index, _ = msgspec.convert(value, tuple[int, tuple[list[Any], list[float], Any, Any]])
            found.append((hashes[index], value[1]))
        except (msgspec.ValidationError, KeyError):
            warn(f"log '{folder / RECORDS}', line {number}: no tuning record; skipped")
    return found


def _numbers(folder: Path, warn: Warn) -> dict[str, int]:
    """Return the index, among the folder's workloads, of each."""
    return {line[0]: index for index, line in reversed(list(workload_lines(folder, warn)))}


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
