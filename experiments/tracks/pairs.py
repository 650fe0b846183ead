"""Results side by side: a method's, and full precision's for the same cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from experiments.binarizers.catalog import FLOAT
from experiments.tracks.result import Cell, Outcome, Result


def pairs(results: Sequence[Result], algorithm: str) -> Iterator[tuple[Cell, Outcome, Outcome]]:
    """Yield the cells of a method that full precision has a result for too: cell, full precision's, the method's."""
    outcomes = {result.cell: result.outcome for result in results if result.outcome is not None}
    for cell, outcome in outcomes.items():
        full = outcomes.get(msgspec.structs.replace(cell, algorithm=FLOAT.name))
        if cell.algorithm == algorithm and full is not None:
            yield cell, full, outcome
