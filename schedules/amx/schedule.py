"""The schedule of a layer whose mismatches AMX counts: weights a tile of channels at a time, epilogue in each block."""

from __future__ import annotations

import math
from typing import TypeAlias

from tvm import s_tir

from schedules.amx.counts import ANCHOR
from schedules.amx.tiles import DEPTH, LANES, ROWS
from schedules.amx.unpack import INPUT, WEIGHTS
from schedules.kernels.binary.bitpack import PACK, PACK_WORDS
from schedules.templates.layer import Schedule, inlinable
from schedules.templates.parallel import parallelize

Block: TypeAlias = s_tir.schedule.SBlockRV
Loop: TypeAlias = s_tir.schedule.LoopRV
#: Vector operations that take as long as one multiplication of tiles, 16 cycles.
_VECTOR_STEPS = 16


def schedule_in_tiles(schedule: Schedule) -> None:
    """Schedule a fused layer in place.

    Tiles of output channels are outermost: their weights, unpacked once, stay in the cache while all positions pass.
    What is computed from the counts of a block follows at once, while they are next to the core.
    """
    for block in inlinable(schedule, ANCHOR):
        schedule.compute_inline(block)
    anchor = schedule.get_sblock(ANCHOR)
    *outer, column, channels = schedule.get_loops(anchor)
    schedule.reorder(channels, *outer, column)
    schedule.compute_at(schedule.get_sblock(WEIGHTS), channels, preserve_unit_loops=True)
    at_once = int(schedule.get(anchor).writes[0].region[-1].extent)
    for block in schedule.get_consumers(anchor):
        packs = [block]
        if not schedule.get(block).name_hint.startswith(PACK):
            packs = list(schedule.get_consumers(block))
            _attach(schedule, block, column)
        for pack in packs:
            _attach_pack(schedule, pack, column, at_once)
    parallelize(schedule, [channels], _steps(schedule, anchor))
    unpacked = schedule.get_sblock(INPUT)
    vectors = math.prod(int(extent) for extent in schedule.get(unpacked).writes[0].source.shape) // DEPTH
    parallelize(schedule, schedule.get_loops(unpacked), vectors)


def _attach(schedule: Schedule, value: Block, loop: Loop) -> None:
    """Compute a value where the counts that it is made of are written, in vectors of channels."""
    schedule.reverse_compute_at(value, loop, preserve_unit_loops=True)
    channel = schedule.get_loops(value)[-1]
    if int(schedule.get(channel).extent) % LANES == 0:
        _, lane = schedule.split(channel, [None, LANES])
        schedule.vectorize(lane)


def _attach_pack(schedule: Schedule, pack: Block, loop: Loop, channels: int) -> None:
    """Pack where the values are, if a block of them fills whole words."""
    block = schedule.get(pack)
    if not block.name_hint.startswith(PACK_WORDS):
        return
    every, words = (int(region.source.shape[-1]) for region in (block.reads[0], block.writes[0]))
    if channels % (every // words) == 0:
        schedule.reverse_compute_at(pack, loop, preserve_unit_loops=True)


def _steps(schedule: Schedule, anchor: Block) -> int:
    """Return how many vector operations take as long as the multiplications of all tiles do."""
    block = schedule.get(anchor)
    positions = math.prod(int(extent) for extent in block.writes[0].source.shape[:-1])
    signs = block.reads[1].source
    return positions * math.prod(int(extent) for extent in signs.shape[:-1]) * _VECTOR_STEPS // ROWS
