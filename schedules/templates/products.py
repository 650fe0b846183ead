"""The schedule of what a product of two activations has and no layer does: an operand laid out while the model runs."""

from __future__ import annotations

import math
from typing import TypeAlias

from tvm import s_tir

from schedules.kernels.binary.bconv2d import BLOCK_ROWS

Schedule: TypeAlias = s_tir.Schedule
Block: TypeAlias = s_tir.schedule.SBlockRV
Loop: TypeAlias = s_tir.schedule.LoopRV


def blocked_rows(schedule: Schedule) -> Block | None:
    """Return the block that lays out the second operand of a product of activations; None in a layer with weights."""
    blocks = schedule.get_child_blocks(schedule.get_sblock("root"))
    return next((block for block in blocks if schedule.get(block).name_hint == BLOCK_ROWS), None)


def block_for_each_product(schedule: Schedule, blocked: Block, batch: list[Loop]) -> list[Loop]:
    """Lay the second operand out for one product of a batch at a time; return the loops that threads can share.

    Those are the loops over the batch: within one product all tiles read the same operand. None are returned where
    there is one product only, whose tiles threads share as those of a layer.
    """
    several = math.prod(int(schedule.get(loop).extent) for loop in batch) > 1
    if several:
        schedule.compute_at(blocked, batch[-1], preserve_unit_loops=True)
    # All words of a row together: LLVM finds a transpose of vectors in that, where there are shuffles for it.
    *_, word, lane = schedule.get_loops(blocked)
    schedule.reorder(lane, word)
    schedule.unroll(word)
    return batch if several else []


def is_ragged(schedule: Schedule, value: Block, lanes: int) -> bool:
    """Tell whether a product's last vector has lanes that nobody reads."""
    return int(schedule.get(schedule.get_loops(value)[-1]).extent) % lanes != 0
