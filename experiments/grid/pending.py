"""Which cells are still to be computed."""

from __future__ import annotations

from collections.abc import Iterable

from experiments.tracks.plan import Plan
from experiments.tracks.result import Cell, latest, read
from experiments.tracks.track import Track


def pending(plan: Plan, tracks: Iterable[Track]) -> tuple[list[Cell], int]:
    """Return the cells of these tracks that have no result with these settings yet, and how many have one.

    A cell that failed is tried again: why it failed may have been mended.
    """
    cells = [cell for track in tracks for cell in track.cells(plan)]
    done = latest(read(plan.results), plan.settings)
    missing = [cell for cell in cells if cell not in done or done[cell].outcome is None]
    return missing, len(cells) - len(missing)
