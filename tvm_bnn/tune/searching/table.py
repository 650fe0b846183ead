"""What tuning tells people: a line for each round, a table at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from schedules.tuned.tuning_log import Verdict
from tvm_bnn.command_line.texts import rate_text
from tvm_bnn.tune.durations import duration_text
from tvm_bnn.tune.searching.session import Plan, Round
from tvm_bnn.tune.tasks import Task

_MINUTE = 60


class Progress:
    """Shows rounds as they come: on a terminal one line that changes, elsewhere a line for each.

    Parameters
    ----------
    plan
        Tells how much is left to do.
    estimated
        Whether times are estimates.
    """

    def __init__(self, plan: Plan, estimated: bool) -> None:
        self._plan, self._estimated = plan, estimated
        self._console = Console(stderr=True, highlight=False)
        self._start = time.monotonic()
        self._done = 0

    def __call__(self, seen: Round) -> None:
        """Show one round."""
        self._done += seen.measured
        failed = f", {seen.failed} failed" if seen.failed else ""
        best, default = (duration_text(seconds, self._estimated) for seconds in (seen.best_s, seen.default_s))
        line = (
            f"{seen.trials} of {self._plan.trials} trials: {seen.task.name}: best {best}, default {default}{failed}"
            f"; {self._left(seen)} left"
        )
        if self._console.is_terminal:
            last = seen.trials >= self._plan.trials
            self._console.print(line.ljust(self._console.width - 1), end="\n" if last else "\r", no_wrap=True)
        else:
            self._console.print(line, soft_wrap=True)

    def _left(self, seen: Round) -> str:
        spent = time.monotonic() - self._start
        left = spent / self._done * max(0, self._plan.trials - seen.trials)
        if self._plan.deadline is not None:
            left = min(left, self._plan.deadline - time.monotonic())
        return f"{left / _MINUTE:.0f} min" if left >= _MINUTE else f"{max(left, 0):.0f} s"


def print_verdicts(
    tasks: Sequence[Task], found: Sequence[Verdict | None], peaks: dict[bool, float], console: Console
) -> None:
    """Print before and after of every layer, and what the model gains.

    Parameters
    ----------
    tasks, found
        In the same order; None where even the default schedule is wrong.
    peaks
        Multiply-accumulates a second that this machine does at most, by whether they are binary; those that are known.
    console
        To print on.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", no_wrap=True)
    for heading in ("calls", "before", "after", "gain", "of peak", "trials"):
        table.add_column(heading, justify="right", no_wrap=True)
    for task, verdict in zip(tasks, found, strict=True):
        if verdict is None:
            table.add_row(task.name, str(task.weight), "[red]wrong result[/]", "-", "-", "-", "-")
            continue
        estimated = verdict.kind == "estimated"
        table.add_row(
            task.name,
            str(task.weight),
            duration_text(verdict.default_seconds, estimated),
            duration_text(verdict.seconds, estimated),
            f"{verdict.gain:.2f}x",
            _share(task, verdict, peaks),
            str(verdict.trials),
        )
    console.print(table)
    console.print()
    console.print(_overall(tasks, found, peaks))


def _share(task: Task, verdict: Verdict, peaks: dict[bool, float]) -> str:
    is_narrow = any(kind in task.name for kind in ("int8", "bf16"))
    peak = peaks.get(task.binary) if not is_narrow and verdict.kind == "measured" else None
    return "-" if peak is None else f"{verdict.macs / verdict.seconds / peak:.0%}"


def _overall(tasks: Sequence[Task], found: Sequence[Verdict | None], peaks: dict[bool, float]) -> str:
    pairs = [(task, verdict) for task, verdict in zip(tasks, found, strict=True) if verdict is not None]
    if not pairs:
        return "nothing was tuned"
    before = sum(task.weight * verdict.default_seconds for task, verdict in pairs)
    after = sum(task.weight * verdict.seconds for task, verdict in pairs)
    estimated = pairs[0][1].kind == "estimated"
    text = (
        f"all layers: {duration_text(before, estimated)} before, {duration_text(after, estimated)} after, "
        f"{before / after:.2f}x; on {pairs[0][1].device}"
    )
    known = [f"{rate_text(peak / 1e9, 'MAC')} {'binary' if binary else 'float32'}" for binary, peak in peaks.items()]
    return text + (f"; peak {', '.join(known)}" if known else "")
