"""The end of a search: the fastest candidates are checked, timed in turns with the default, and the winner kept."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec
import tvm

from schedules.files.line_file import Warn, append, locked
from schedules.machines.target import Target
from schedules.tuned.proof import prove
from schedules.tuned.trace import replay
from schedules.tuned.trace_key import key_of
from schedules.tuned.tuning_log import VERDICTS, Verdict, log_name, verdicts
from tvm_bnn.tune.runners.runner import Runner, Settled
from tvm_bnn.tune.searching.database import Entry
from tvm_bnn.tune.searching.search import Search

#: Noise makes one of many candidates look fastest; among so many is the one that is.
FINALISTS = 5
#: A schedule replaces the default only if it is faster by more than what the turns, or a model, can tell apart.
_LEAST_GAIN = {"measured": 1.01, "estimated": 1.03}


def settle(search: Search, runner: Runner, target: Target, folder: Path, warn: Warn) -> Verdict | None:
    """Settle a search, add its outcome to the log, and return the winner; None if not even the default is right."""
    task = search.task
    known = verdicts(folder, warn)
    wrong = {key_of(verdict.trace) for verdict in known if verdict.workload == task.workload and not verdict.exact}
    fastest = (entry for entry in search.best(len(search.known)) if entry.key not in wrong)
    finalists = list(itertools.islice((each for each in fastest if _is_proven(search, each, warn)), FINALISTS))
    default = Entry(task.workload, search.default.trace, (0.0,))
    field = [default, *(entry for entry in finalists if entry.key != default.key)]
    settled = runner.settle(task, [_module(search, entry) for entry in field])
    default_s, least_gain = settled[0].seconds, _LEAST_GAIN[runner.kind]
    made = [
        _verdict(search, runner, target, entry, result, default_s)
        for entry, result in _told(field, settled, least_gain)
    ]
    with locked(folder):
        append(folder / VERDICTS, [msgspec.json.encode(verdict) for verdict in made])
    for verdict in made:
        if not verdict.exact:
            warn(f"layer {task.name}: candidate {key_of(verdict.trace)} is wrong and will not be used")
    return made[-1] if made[-1].exact else None


def _is_proven(search: Search, entry: Entry, warn: Warn) -> bool:
    """Tell whether a candidate is of the space: no compilation would take another, however fast the log says it was."""
    try:
        prove(search.task.function, search.task.isa, entry.trace)
    except ValueError as error:
        warn(f"{entry.place}: {error}; skipped")
        return False
    return True


def _module(search: Search, entry: Entry) -> tvm.IRModule:
    return replay(search.task.function, entry.trace).mod


def _told(field: Sequence[Entry], settled: Sequence[Settled], least_gain: float) -> list[tuple[Entry, Settled]]:
    """Return what is worth keeping: candidates that are wrong, then the winner."""
    pairs = list(zip(field, settled, strict=True))
    right = [pair for pair in pairs if pair[1].exact]
    if not right:
        return pairs
    winner = min(right, key=lambda pair: pair[1].seconds)
    if pairs[0][1].exact and pairs[0][1].seconds < winner[1].seconds * least_gain:
        winner = pairs[0]
    return [*(pair for pair in pairs if not pair[1].exact), winner]


def _verdict(
    search: Search, runner: Runner, target: Target, entry: Entry, result: Settled, default_s: float
) -> Verdict:
    task = search.task
    return Verdict(
        workload=task.workload,
        signature=task.signature,
        version=task.version,
        trace=entry.trace,
        exact=result.exact,
        seconds=result.seconds,
        default_seconds=default_s,
        macs=task.macs,
        trials=len(search.known),
        kind=runner.kind,
        target=log_name(target),
        device=runner.device,
        threads=runner.threads,
        tvm=tvm.__version__,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
