"""Traces of schedules as plain JSON values: how logs keep them, and how they become schedules again."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import s_tir

from schedules.tuned.trace_key import Trace


def to_json(schedule: s_tir.Schedule) -> Trace:
    """Return a schedule's trace: the instructions that matter, and what was decided for those that sample.

    The search drops the others from some candidates and not from others, and they would count as different.
    """
    found: Trace = _plain(schedule.trace.simplified(True).as_json(True))
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
