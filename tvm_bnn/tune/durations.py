"""How times look, and estimates, which are none."""

from __future__ import annotations

from tvm_bnn.command_line.texts import count_text, short_time_text


def duration_text(seconds: float, estimated: bool) -> str:
    """Return a time; an estimate has no time, but cycles."""
    if not seconds:
        return "-"
    return f"{count_text(round(seconds * 1e9))} cycles (estimated)" if estimated else short_time_text(seconds * 1e9)
