"""Cells one after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from experiments.grid.run_cell import run_cell
from experiments.tracks.plan import Plan
from experiments.tracks.result import Cell, Result


def run(plan: Plan, cells: Sequence[Cell]) -> Iterator[Result]:
    """Yield results as they come."""
    for cell in cells:
        yield run_cell(plan, cell)
