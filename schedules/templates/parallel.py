"""Which loops run on several threads, if the process has any to spare."""

from __future__ import annotations

import math
from typing import TypeAlias

from tvm import s_tir

Schedule: TypeAlias = s_tir.Schedule
Block: TypeAlias = s_tir.schedule.SBlockRV
Loop: TypeAlias = s_tir.schedule.LoopRV

#: Vector operations below which a second thread is not worth waking: 2 µs while it still spins, up to 17 µs when it
#: sleeps, and a core does one to two vector operations a cycle.
LEAST_STEPS = 1 << 15


def vector_steps(schedule: Schedule, block: Block, lanes: int) -> int:
    """Return how often a block executes, ``lanes`` at a time."""
    extents = [int(axis.dom.extent) for axis in schedule.get(block).iter_vars]
    return math.prod(extents) // lanes


def parallelize(schedule: Schedule, loops: list[Loop], steps: int) -> list[Loop]:
    """Share adjacent loops, outermost first, out to the threads if there is enough to do; return what they became."""
    if steps < LEAST_STEPS or math.prod(int(schedule.get(loop).extent) for loop in loops) == 1:
        return loops
    fused = schedule.fuse(*loops)
    schedule.parallel(fused)
    return [fused]
