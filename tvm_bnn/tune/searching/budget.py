"""Which layer gets the next round."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Standing:
    """How far the search for one layer is.

    Parameters
    ----------
    weight
        Calls of it in a run of the model.
    best_s
        The best time so far; 0 if none was measured yet.
    last_gain_s
        By how much the last round lowered it.
    trials
        Candidates measured.
    exhausted
        Whether there is nothing left to try.
    """

    weight: int
    best_s: float
    last_gain_s: float
    trials: int
    exhausted: bool


#: What a round may still be hoped to gain of a layer's time, after as many trials as one round has.
_HOPE = 0.05


def next_layer(standings: Sequence[Standing], round_size: int) -> int | None:
    """Return the layer with the most time to win, None if all are exhausted.

    Every layer gets one round. After that the estimate of what the next round wins is what the last one won, or a hope
    that fades with the trials, whichever is more; times the calls of the layer.
    """
    open_ones = [index for index, standing in enumerate(standings) if not standing.exhausted]
    for index in open_ones:
        if not standings[index].trials:
            return index
    return max(open_ones, key=lambda index: _expected_s(standings[index], round_size), default=None)


def _expected_s(standing: Standing, round_size: int) -> float:
    hope = _HOPE * standing.best_s * round_size / max(standing.trials, 1)
    return standing.weight * max(standing.last_gain_s, hope)
