"""One cell, from its name to its result."""

from __future__ import annotations

import time

from experiments.tracks.plan import Plan
from experiments.tracks.result import Cell, Result
from experiments.tracks.track import find_track
from schedules.errors import UserError


def run_cell(plan: Plan, cell: Cell) -> Result:
    """Compute a cell; what cannot be done is a result too, with the reason."""
    started = time.perf_counter()
    try:
        outcome = find_track(cell.track).compute(plan, cell)
    except UserError as error:
        return Result(cell=cell, settings=plan.settings, failed=str(error), seconds=time.perf_counter() - started)
    return Result(cell=cell, settings=plan.settings, outcome=outcome, seconds=time.perf_counter() - started)
