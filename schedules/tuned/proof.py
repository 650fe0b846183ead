"""Whether a trace is a point of a layer's search space: logs are files, and anybody may have changed one.

What the search can make is right by construction; a factor that was edited need not be. So the design that a trace
claims to be is made again, and the two have to say the same: every instruction, and what was drawn within its limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import tvm
from tvm import s_tir

from schedules.machines.isa import Isa
from schedules.templates.tile import Tile
from schedules.tuned.space import all_designs, designed
from schedules.tuned.trace import to_json
from schedules.tuned.trace_key import Trace, register_tile

_SAMPLE = "SamplePerfectTile"
_MISFIT = "the trace does not fit the function"


def prove(function: tvm.tirx.PrimFunc, isa: Isa, trace: Trace) -> None:
    """Refuse a trace that the search could not have made.

    Parameters
    ----------
    function
        The lowered layer.
    isa
        Whose space it is.
    trace
        Instructions and decisions.

    Raises
    ------
    ValueError
        If no design of the space has these instructions, or what was drawn is out of the design's limits.
    """
    try:
        _compare(s_tir.Schedule(tvm.IRModule({"main": function}), debug_mask="none"), isa, trace)
    except (LookupError, TypeError, AttributeError, OverflowError):
        raise ValueError(f"{_MISFIT}: it has parts that no trace has") from None


def _compare(schedule: s_tir.Schedule, isa: Isa, trace: Trace) -> None:
    for tile in _claimed(all_designs(schedule, isa), trace):
        made = to_json(designed(schedule, tile, isa))
        if made[0] == trace[0]:
            _check_draws(made, trace)
            return
    raise ValueError(f"{_MISFIT}: it is of no design of the search space")


def _claimed(tiles: list[Tile], trace: Trace) -> Iterator[Tile]:
    """Yield the designs that a trace could be, as far as can be told without making them."""
    _, vectors = register_tile(trace)
    limits = [_limit(instruction) for instruction in trace[0] if instruction[0] == _SAMPLE]
    for tile in tiles:
        if tile.vectors == vectors and limits == [most for most in (tile.pixels, tile.rows) if most is not None]:
            yield tile


def _limit(instruction: list[Any]) -> Any:
    """Return the largest inner factor that a sampling instruction allows."""
    return instruction[2][1]


def _check_draws(made: Trace, trace: Trace) -> None:
    drawn, expected = dict(map(tuple, trace[1])), dict(map(tuple, made[1]))
    if drawn.keys() != expected.keys():
        raise ValueError(f"{_MISFIT}: it draws what its design does not")
    for index, factors in drawn.items():
        extent, most = math.prod(expected[index]), _limit(made[0][index])
        whole = all(isinstance(factor, int) and factor > 0 for factor in factors)
        if not whole or len(factors) != len(expected[index]) or math.prod(factors) != extent:
            raise ValueError(f"{_MISFIT}: factors {factors} do not make its loop of {extent}")
        if factors[-1] > most:
            raise ValueError(f"{_MISFIT}: factors {factors} exceed its design's {most}")
