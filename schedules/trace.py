"""Traces of schedules as plain JSON values: how logs keep them, and how they become schedules again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import tvm
from tvm import s_tir

Trace = list[Any]
#: A layer's channels are split into tiles, groups, vectors and lanes; nothing else is split into four.
_CHANNEL_FACTORS = 4


def to_json(schedule: s_tir.Schedule) -> Trace:
    """Return a schedule's trace: its instructions, and what was decided for those that sample."""
    found: Trace = _plain(schedule.trace.as_json(True))
    return found


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value if not isinstance(value, str) else str(value)
    if isinstance(value, tvm.tirx.IntImm):
        return int(value.value)
    if isinstance(value, tvm.tirx.FloatImm):
        return float(value.value)
    if hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value]


def key_of(trace: Trace) -> str:
    """Return what tells candidates of one workload apart."""
    return hashlib.sha256(json.dumps(trace, separators=(",", ":")).encode()).hexdigest()[:16]


def replay(function: tvm.tirx.PrimFunc, trace: Trace) -> s_tir.Schedule:
    """Return a function scheduled as a trace says.

    Raises
    ------
    ValueError
        If the trace does not fit the function.
    """
    schedule = s_tir.Schedule(tvm.IRModule({"main": function}), debug_mask="none")
    try:
        s_tir.schedule.Trace.apply_json_to_schedule(trace, schedule)
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:  # whatever TVM raises
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ValueError(f"the trace does not fit the function: {reason}") from None
    return schedule


def register_tile(trace: Trace) -> tuple[int, int]:
    """Return the pixels and vectors of the register tile that a trace of the template makes.

    Raises
    ------
    ValueError
        If it is none of the template.
    """
    instructions, decisions = trace
    # The first thing that the template samples are the pixels.
    drawn = min(decisions, default=None)
    splits = [inputs for kind, inputs, *_ in instructions if kind == "Split" and len(inputs) == _CHANNEL_FACTORS + 1]
    if drawn is None or len(splits) != 1:
        raise ValueError("the trace is none of the template's")
    return int(drawn[1][-1]), int(splits[0][-2])
