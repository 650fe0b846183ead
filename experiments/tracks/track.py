"""What every track is: its cells, what to do in one, and the overall metric of many."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments.tracks.plan import Plan
from experiments.tracks.result import Cell, Outcome, Result


class Overall(NamedTuple):
    """A method's overall metric: None where it cannot be had, and ``note`` says why, or what was left out."""

    value: float | None
    note: str = ""


class Track(NamedTuple):
    """One of the six.

    Parameters
    ----------
    name
        As the command line calls it.
    metric
        The overall metric's name.
    question
        What it asks, in one line.
    measures
        Whether its cells take times that work beside it would spoil.
    """

    name: str
    metric: str
    question: str
    measures: bool = False

    def cells(self, plan: Plan) -> list[Cell]:
        """Return the track's grid."""
        cells: list[Cell] = self._module().cells(plan)
        return cells

    def compute(self, plan: Plan, cell: Cell) -> Outcome:
        """Do what a cell asks for."""
        outcome: Outcome = self._module().compute(plan, cell)
        return outcome

    def overall(self, results: Sequence[Result], algorithm: str) -> Overall:
        """Return a method's overall metric from this track's results."""
        overall: Overall = self._module().overall(results, algorithm)
        return overall

    def _module(self) -> Any:
        return importlib.import_module(f"experiments.tracks.{self.name}")


TRACKS = (
    Track("learning", "OM_task", "accuracy over tasks and data sets"),
    Track("architecture", "OM_arch", "accuracy over kinds of networks"),
    Track("robustness", "OM_robust", "accuracy on corrupted pictures"),
    Track("training", "OM_train", "time to train, and dependence on hyper-parameters", measures=True),
    Track("complexity", "OM_comp", "operations and storage by the paper's count and in the compiled graph"),
    Track("hardware", "OM_infer", "measured latency and size of compiled networks", measures=True),
)


def find_track(name: str) -> Track:
    """Return the track of that name, which exists."""
    return next(track for track in TRACKS if track.name == name)
