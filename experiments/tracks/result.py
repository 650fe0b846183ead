"""Cells and their results: one JSON line each, appended and never edited."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

import msgspec

from rpc.measuring.measurement import Samples
from schedules.files import record_file
from tvm_bnn.bench.machine import Machine, this_machine, versions

#: Raised when results cease to be comparable with older ones.
PROTOCOL = 1


class Cell(msgspec.Struct, frozen=True, order=True):
    """One point of a track's grid.

    Parameters
    ----------
    track
        Whose.
    data, architecture, algorithm
        What is trained, with which method; ``float`` for none.
    variant
        What else the track varies: a corruption, hyper-parameters, a device.
    """

    track: str
    data: str
    architecture: str
    algorithm: str
    variant: str = ""

    def __str__(self) -> str:
        """Return the cell as progress shows it."""
        parts = (self.track, self.data, self.architecture, self.algorithm, self.variant)
        return " / ".join(part for part in parts if part)


class Outcome(msgspec.Struct, frozen=True):
    """What a track finds out in a cell: numbers, times with all samples, and what else is worth knowing."""

    values: dict[str, float]
    samples: dict[str, Samples] = {}
    facts: dict[str, str | int | float] = {}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One cell's result, or why there is none.

    Parameters
    ----------
    cell
        Which.
    settings
        What decided it besides the cell: recipe, sizes, seed. Results of other settings are other results.
    outcome
        None if it failed, and ``failed`` says why in one line.
    seconds
        That it took.
    date
        UTC, ISO 8601.
    """

    cell: Cell
    settings: str
    outcome: Outcome | None = None
    failed: str = ""
    seconds: float = 0.0
    protocol: int = PROTOCOL
    date: str = msgspec.field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    machine: Machine = msgspec.field(default_factory=this_machine)
    versions: dict[str, str] = msgspec.field(default_factory=versions)


def append(path: Path, result: Result) -> None:
    """Append a result in one write; behind a line that a kill cut short, it starts a line of its own.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    record_file.append(path, [result], "results")


def read(path: Path) -> list[Result]:
    """Return the results of a file, none if there is no file.

    A line that a kill cut short is no result: its cell is computed again.

    Raises
    ------
    UserError
        If the file cannot be read, or a whole line holds something else.
    """
    return record_file.read(path, Result, "results") if path.exists() else []


def latest(results: Iterable[Result], settings: str | None = None) -> dict[Cell, Result]:
    """Return the last result of each cell, of these settings if they are given."""
    return {result.cell: result for result in results if settings in (None, result.settings)}
