"""A whole run: what is missing is computed, and every result is on disk before the next one starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from experiments.grid import local
from experiments.grid.alone import alone
from experiments.grid.pending import pending
from experiments.grid.progress import progress
from experiments.tracks.plan import Plan
from experiments.tracks.result import Cell, Result, append
from experiments.tracks.track import Track

Engine: TypeAlias = Callable[[Plan, Sequence[Cell]], Iterator[Result]]
"""Computes cells and yields their results as they come."""


def run_grid(plan: Plan, tracks: Sequence[Track], cluster: str = "") -> int:
    """Compute the missing cells of some tracks and return how many of them have no result.

    Parameters
    ----------
    plan
        The run.
    tracks
        In this order.
    cluster
        The address of a Dask scheduler, or ``local:N`` for N workers on this machine; empty for this process. Tracks
        that measure times run in this process all the same, when the others are done: nothing else may run beside.

    Raises
    ------
    UserError
        If results cannot be read or written, another run is at work in the folder, or the cluster cannot be reached.
    """
    with alone(Path(plan.folder)):
        cells, done = pending(plan, tracks)
        failures = 0
        measured = {track.name for track in tracks if track.measures}
        with progress(cells, done) as tell:
            for engine, part in _parts(cells, measured, cluster):
                for result in engine(plan, part):
                    append(plan.results, result)
                    failures += result.outcome is None
                    tell(result)
        return failures


def _parts(cells: Sequence[Cell], measured: set[str], cluster: str) -> list[tuple[Engine, list[Cell]]]:
    """Return which cells run where, in order."""
    if not cluster:
        return [(local.run, list(cells))]
    from experiments.grid.cluster import on_cluster

    apart = [cell for cell in cells if cell.track not in measured]
    alone = [cell for cell in cells if cell.track in measured]
    return [(on_cluster(cluster), apart), (local.run, alone)]
