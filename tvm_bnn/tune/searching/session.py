"""A run of the tuner: rounds for the layers with the most time to win, each kept at once, then the verdicts."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import tvm

from schedules.files.line_file import Warn, append, locked
from schedules.machines.target import Target
from schedules.tuned.trace_key import key_of
from schedules.tuned.tuning_log import SESSIONS, Session, Verdict, best, log_name, verdicts
from tvm_bnn.tune.runners.runner import Runner
from tvm_bnn.tune.searching.budget import Standing, next_layer
from tvm_bnn.tune.searching.database import commit, entries
from tvm_bnn.tune.searching.interruption import held_back
from tvm_bnn.tune.searching.search import Search
from tvm_bnn.tune.searching.settle import settle
from tvm_bnn.tune.tasks import Task

ROUND = 16


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to do.

    Parameters
    ----------
    target, folder
        What to tune for, and the target's folder of the log.
    trials
        For all layers together, those included that the log holds already.
    deadline
        Of ``time.monotonic``, after which no round begins; None for no such limit.
    """

    target: Target
    folder: Path
    trials: int
    deadline: float | None = None


@dataclasses.dataclass(frozen=True)
class Round:
    """What an observer hears of a round: which layer, how many trials there were of all, and what it brought."""

    task: Task
    measured: int
    failed: int
    trials: int
    best_s: float
    default_s: float


Observer = Callable[[Round], None]


def tune(
    tasks: Sequence[Task], runner: Runner, plan: Plan, versions: dict[str, str], observe: Observer, warn: Warn
) -> list[Verdict | None]:
    """Search, and return the winner for each layer; None where not even the default schedule is right.

    Raises
    ------
    UserError
        If the log cannot be written, or the device is gone; what was kept up to then is all there is to know.
    """
    seed = _begin(runner, plan, versions)
    options = {**plan.target.tvm, "num-cores": 1}
    searches = [
        Search(task, tvm.target.Target(options), runner.threads, caches=runner.kind == "measured", seed=seed)
        for task in tasks
    ]
    gains = [0.0] * len(tasks)
    exhausted = [False] * len(tasks)
    heard: dict[str, None] = {}

    def say(message: str) -> None:
        if message not in heard:
            heard[message] = None
            warn(message)

    while plan.deadline is None or time.monotonic() < plan.deadline:
        logged = entries(plan.folder, say)
        for search in searches:
            search.remember(logged, say)
        total = sum(len(search.known) for search in searches)
        standings = [
            Standing(search.task.weight, _best_s(search), gain, len(search.known), done)
            for search, gain, done in zip(searches, gains, exhausted, strict=True)
        ]
        index = next_layer(standings, ROUND)
        if index is None or total >= plan.trials:
            break
        before = _best_s(searches[index])
        measured = _round(searches[index], runner, plan, min(ROUND, plan.trials - total))
        exhausted[index] = not measured
        if measured:
            gains[index] = max(0.0, before - _best_s(searches[index]))
            observe(_seen(searches[index], measured, total))
    return [_settled(search, runner, plan, warn) for search in searches]


def _begin(runner: Runner, plan: Plan, versions: dict[str, str]) -> int:
    """Enter the run in the log; return its number, so that tuners of one folder draw different candidates."""
    session = Session(
        target=log_name(plan.target),
        tvm_target=plan.target.tvm,
        kind=runner.kind,
        device=runner.device,
        threads=runner.threads,
        versions=versions,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    with locked(plan.folder):
        append(plan.folder / SESSIONS, [msgspec.json.encode(session)])
        return (plan.folder / SESSIONS).read_bytes().count(b"\n")


def _round(search: Search, runner: Runner, plan: Plan, count: int) -> list[bool]:
    """Measure one round and keep it; return which of its candidates could be measured."""
    with held_back():
        candidates = search.propose(count)
    if not candidates:
        return []
    results = runner.measure(search.task, [candidate.schedule.mod for candidate in candidates])
    measured = list(zip(candidates, results, strict=True))
    target = tvm.target.Target(plan.target.tvm)
    commit(plan.folder, search.task, target, [(candidate.schedule, result) for candidate, result in measured])
    with held_back():
        search.learn(measured)
    return [bool(result.seconds) for result in results]


def _best_s(search: Search) -> float:
    found = search.best(1)
    return found[0].mean_s if found else 0.0


def _seen(search: Search, measured: Sequence[bool], before: int) -> Round:
    default = search.known.get(search.default.key)
    default_s = 0.0 if default is None or default.failed else default.mean_s
    failed = len(measured) - sum(measured)
    return Round(search.task, len(measured), failed, before + len(measured), _best_s(search), default_s)


def _settled(search: Search, runner: Runner, plan: Plan, warn: Warn) -> Verdict | None:
    """Return the log's verdict if it takes all measurements into account, else make one."""
    known = best(verdicts(plan.folder, warn)).get(search.task.workload)
    up_to_date = known is not None and (known.version, known.trials) == (search.task.version, len(search.known))
    if known is not None and up_to_date and key_of(known.trace) in {search.default.key, *search.known}:
        return known
    return settle(search, runner, plan.target, plan.folder, warn)
