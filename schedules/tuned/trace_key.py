"""What can be told of a trace without TVM: which candidate it is, and its register tile."""

from __future__ import annotations

import hashlib
import json
from typing import Any

#: Instructions, and what was decided for those that sample, as MetaSchedule writes them to JSON.
Trace = list[Any]
#: A layer's channels are split into tiles, groups, vectors and lanes; nothing else is split into four.
_CHANNEL_FACTORS = 4


def key_of(trace: Trace) -> str:
    """Return what tells candidates of one workload apart."""
    return hashlib.sha256(json.dumps(trace, separators=(",", ":")).encode()).hexdigest()[:16]


def register_tile(trace: Trace) -> tuple[int, int]:
    """Return the pixels and vectors of the register tile that a trace of the template makes.

    Raises
    ------
    ValueError
        If it is none of the template.
    """
    try:
        instructions, decisions = trace
        if not all(isinstance(each, list) for each in (instructions, *instructions, decisions, *decisions)):
            raise TypeError
        # The first thing that the template samples are the pixels.
        drawn = min(decisions)
        splits = [
            inputs for kind, inputs, *_ in instructions if kind == "Split" and len(inputs) == _CHANNEL_FACTORS + 1
        ]
        (channels,) = splits
        return int(drawn[1][-1]), int(channels[-2])
    except (ValueError, TypeError, LookupError, OverflowError):
        raise ValueError("the trace is none of the template's") from None
