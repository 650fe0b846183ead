"""``python -m tvm_bnn.tune log``: look at logs, put them together, and make small ones to share."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, TypeAlias

import tyro
from rich.table import Table

from schedules.errors import UserError
from schedules.tuned.trace_key import register_tile
from schedules.tuned.tuning_log import RECORDS, Session, Verdict, best, sessions, verdicts
from tvm_bnn.command_line.console import complain, stdout
from tvm_bnn.tune.durations import duration_text
from tvm_bnn.tune.logs import log_folders

Folder: TypeAlias = Annotated[Path, tyro.conf.Positional]


@dataclasses.dataclass(frozen=True)
class Show:
    """Print what a log holds: for each target the sessions that made it, and how much was measured."""

    log: Folder
    """As --log of tvm_bnn.tune."""


@dataclasses.dataclass(frozen=True)
class Best:
    """Print the best schedule of every layer, which a compilation takes."""

    log: Folder
    """As --log of tvm_bnn.tune."""


@dataclasses.dataclass(frozen=True)
class Merge:
    """Add everything in one log to another: measurements that it lacks, and verdicts."""

    source: Folder
    """Stays as it is."""
    into: Folder
    """Made if it is not there."""


@dataclasses.dataclass(frozen=True)
class Export:
    """Write only what a compilation needs, a few kB for each layer, into another log, beside what that has."""

    source: Folder
    """Stays as it is."""
    into: Folder
    """Made if it is not there."""


@dataclasses.dataclass(frozen=True)
class Prune:
    """Drop what nobody needs any more: broken lines, repeated measurements, all but the latest verdicts."""

    log: Folder
    """As --log of tvm_bnn.tune."""


_Command: TypeAlias = Show | Best | Merge | Export | Prune


def main(arguments: list[str]) -> int:
    """Run one of the commands and return its exit code."""
    command: _Command = tyro.cli(_Command, args=arguments, prog="tvm_bnn.tune log")
    try:
        match command:
            case Show(log):
                _show(log)
            case Best(log):
                _best(log)
            case Merge(source, into):
                _say(log_folders.merge(source, into, _warn))
            case Export(source, into):
                _say(log_folders.export(source, into, _warn))
            case Prune(log):
                _say(log_folders.prune(log, _warn))
    except UserError as error:
        complain(str(error))
        return 1
    return 0


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _say(lines: list[str]) -> None:
    for line in lines:
        stdout().print(line, soft_wrap=True)


def _show(log: Path) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("target", "kind", "measured", "layers settled", "made on", "last"):
        table.add_column(heading, no_wrap=True)
    for folder in log_folders.folders(log):
        settled = verdicts(folder, _warn)
        made: list[Session | Verdict] = [*sessions(folder, _warn), *settled]
        devices = dict.fromkeys(item.device for item in made)
        table.add_row(
            folder.name,
            ", ".join(dict.fromkeys(item.kind for item in made)),
            str(len(log_folders.lines(folder / RECORDS, _warn))),
            str(len(best(settled))),
            ", ".join(devices),
            max((item.date for item in made), default="-"),
        )
    stdout().print(table)


#: Kernel, input and weights: what tells layers apart at a glance.
_TOLD = 3


def _best(log: Path) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("target", "layer", "tile"):
        table.add_column(heading, no_wrap=True)
    for heading in ("default", "tuned", "gain", "trials"):
        table.add_column(heading, justify="right", no_wrap=True)
    for folder in log_folders.folders(log):
        for verdict in best(verdicts(folder, _warn)).values():
            estimated = verdict.kind == "estimated"
            table.add_row(
                folder.name,
                " ".join(verdict.signature.split()[:_TOLD]),
                "x".join(map(str, register_tile(verdict.trace))),
                duration_text(verdict.default_seconds, estimated),
                duration_text(verdict.seconds, estimated),
                f"{verdict.gain:.2f}x",
                str(verdict.trials),
            )
    stdout().print(table)
