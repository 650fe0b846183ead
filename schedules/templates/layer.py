"""The schedule of every kernel with an anchor: a register tile of pixels x output channels, epilogue and packing in it.

A fused layer reads

    pad -> anchor (a reduction) -> epilogue (elementwise) -> value [-> pack]

where ``value`` is what leaves the layer as numbers, or what ``pack`` compares, or both. The tile computes the anchor
in registers, applies the whole epilogue to it, and packs the result while it is at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tvm import s_tir, tirx

from schedules.kernels.binary.bconv2d import BLOCK_ROWS, PRODUCT
from schedules.kernels.binary.bitpack import PACK, PACK_WORDS
from schedules.kernels.floats.conv2d import UNPACK
from schedules.machines.dot import Dot
from schedules.templates.dot_intrinsic import tensor_intrinsic
from schedules.templates.parallel import parallelize, vector_steps
from schedules.templates.products import block_for_each_product, blocked_rows, is_ragged
from schedules.templates.tile import Tile

#: How the blocks of a pool behind a layer start (:mod:`schedules.templates.pooled`).
POOL = "pool_"
Schedule: TypeAlias = s_tir.Schedule
Loop: TypeAlias = s_tir.schedule.LoopRV
#: How a loop is split in two, given the inner extent that a tile names: the factors for ``Schedule.split``.
Factors: TypeAlias = Callable[[Schedule, Loop, int], list[Any]]


def fixed(_schedule: Schedule, _loop: Loop, inner: int) -> list[Any]:
    """Return the factors that give the tile's own extent."""
    return [None, inner]


def schedule_anchored(
    schedule: Schedule,
    anchor: str,
    tile: Tile,
    dot: Dot | None = None,
    pixel_factors: Factors = fixed,
    row_factors: Factors = fixed,
) -> None:
    """Schedule a fused layer in place.

    Parameters
    ----------
    schedule
        Of the module whose one function holds the layer.
    anchor
        The name of the reduction block.
    tile
        Must divide the layer.
    dot
        The instruction that does a vector of the innermost reduction; None to multiply and add lane by lane.
    pixel_factors, row_factors
        How the tile's pixels and rows come about: as they are, or sampled by a search.
    """
    for block in inlinable(schedule, anchor):
        schedule.compute_inline(block)
    reduction = schedule.get_sblock(anchor)
    value, pack = value_and_pack(schedule, reduction)
    # Asked of products only: what is asked is part of a trace, and with it of the version of every record.
    blocked = blocked_rows(schedule) if anchor == PRODUCT else None
    if blocked is not None and is_ragged(schedule, value, tile.lanes):
        # Predicated lanes would be written one by one: whole vectors of counts are, and the rest reads them.
        value, pack = schedule.cache_write(reduction, 0, "global"), None
    vectorize_pad(schedule, tile.lanes)

    *outer, pixel, channel = schedule.get_loops(value)
    pixel_tile, pixel_inner = schedule.split(pixel, pixel_factors(schedule, pixel, tile.pixels))
    channel_tile, group, vector, lane = split_channels(schedule, channel, tile)
    around = [channel_tile, *outer] if blocked is None else [*outer, channel_tile]
    if tile.rows is not None:
        around = blocked_around(schedule, outer, channel_tile, row_factors(schedule, outer[-1], tile.rows))
    schedule.reorder(*around, pixel_tile, group, pixel_inner, vector, lane)
    if pack is not None and tile.groups is not None:
        schedule.reverse_compute_at(pack, pixel_tile, preserve_unit_loops=True)
    schedule.compute_at(reduction, group, preserve_unit_loops=True)
    shared = around[: tile.shared]
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        if schedule.get(block).name_hint == UNPACK:
            # Once for all pixels of a tile of channels: as many weights as stay in the second-level cache.
            schedule.compute_at(block, channel_tile, preserve_unit_loops=True)
            schedule.vectorize(schedule.get_loops(block)[-1])
            shared = [channel_tile]
    if blocked is not None:
        shared = block_for_each_product(schedule, blocked, outer) or shared
    parallelize(schedule, shared, vector_steps(schedule, reduction, tile.lanes))
    schedule.set_scope(reduction, 0, "local")

    tile_reduction(schedule, reduction, tile, dot)
    for loop in (pixel_inner, vector):
        schedule.unroll(loop)
    schedule.vectorize(lane)


def split_channels(schedule: Schedule, channel: Loop, tile: Tile) -> list[Loop]:
    """Split the channels into tiles, groups of vectors that are packed together, vectors and lanes."""
    return list(schedule.split(channel, [None, tile.groups or 1, tile.vectors, tile.lanes]))


def blocked_around(schedule: Schedule, outer: Sequence[Loop], tiles: Loop, rows: list[Any]) -> list[Loop]:
    """Take the tiles of channels once for each block of rows; return the loops around a tile, in their order.

    Parameters
    ----------
    outer
        The loops over samples and, last, rows.
    tiles
        The loop over tiles of channels.
    rows
        The factors of blocks of rows.
    """
    *samples, row = outer
    row_block, row = schedule.split(row, rows)
    return [*samples, row_block, tiles, row]


def tile_reduction(schedule: Schedule, reduction: s_tir.schedule.SBlockRV, tile: Tile, dot: Dot | None = None) -> None:
    """Order the anchor's loops: reduction outside, the register tile unrolled inside, lanes vectorised."""
    reduced = sum(axis.iter_type == tirx.IterVar.CommReduce for axis in schedule.get(reduction).iter_vars)
    loops = schedule.get_loops(reduction)
    *_, pixel, channel = loops[: len(loops) - reduced]
    vector, lane = schedule.split(channel, [None, tile.lanes])
    steps = loops[len(loops) - reduced :]
    if dot is None:
        steps, deep = steps[:-1], steps[-1]
        extent = int(schedule.get(deep).extent)
        if tile.depth * tile.unroll > extent:
            schedule.unroll(steps[-1])
        deep, part = schedule.split(deep, [None, min(extent, tile.depth * tile.unroll)])
        steps.append(deep)
        schedule.reorder(*steps, part, pixel, vector, lane)
        schedule.unroll(part)
        if tile.depth > 1:
            _load_vectors(schedule, reduction, deep)
        schedule.vectorize(lane)
    else:
        *steps, byte = steps
        schedule.reorder(*steps, pixel, vector, lane, byte)
    schedule.unroll(pixel)
    schedule.unroll(vector)
    start = schedule.decompose_reduction(reduction, steps[0])
    *_, start_pixel, start_vector, start_lane = schedule.get_loops(start)
    schedule.unroll(start_pixel)
    schedule.unroll(start_vector)
    if dot is not None:
        schedule.vectorize(start_lane)
        schedule.tensorize(lane, tensor_intrinsic(dot))


def _load_vectors(schedule: Schedule, reduction: s_tir.schedule.SBlockRV, step: s_tir.schedule.LoopRV) -> None:
    """Load what one step reads of the input, a vector along the depth for each pixel.

    LLVM keeps the buffer in registers and broadcasts from their lanes (``dup``; ``fmla`` takes a lane as it is).
    """
    loaded = schedule.cache_read(reduction, 0, "local")
    schedule.compute_at(loaded, step, preserve_unit_loops=True)
    *_, pixel, depth = schedule.get_loops(loaded)
    schedule.unroll(pixel)
    schedule.vectorize(depth)


def inlinable(schedule: Schedule, *kept: str) -> list[s_tir.schedule.SBlockRV]:
    """Return the elementwise blocks that may disappear into their consumers, producers first.

    Kept are the anchor and others that ``kept`` names, padding, what leaves the function, and what ``pack`` compares:
    packing reads whole vectors.
    """
    outputs = _names(schedule, schedule.get_output_blocks("root"))
    found = []
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        name = schedule.get(block).name_hint
        consumers = _names(schedule, schedule.get_consumers(block))
        if (
            name in (*kept, "pad", BLOCK_ROWS)
            or name.startswith(UNPACK)
            or name in outputs
            or any(consumer.startswith((PACK, POOL)) for consumer in consumers)
        ):
            continue
        found.append(block)
    return found


def value_and_pack(
    schedule: Schedule, reduction: s_tir.schedule.SBlockRV
) -> tuple[s_tir.schedule.SBlockRV, s_tir.schedule.SBlockRV | None]:
    """Return the block that computes the layer's value, and the one that packs it, if there is such.

    Where the sum itself is the value, what leaves the registers is a copy of it.
    """
    consumers = schedule.get_consumers(reduction)
    if not consumers or any(name.startswith((PACK, POOL)) for name in _names(schedule, consumers)):
        value = schedule.cache_write(reduction, 0, "global")
    else:
        (value,) = consumers
    packs = [block for block in schedule.get_consumers(value) if _names(schedule, [block])[0].startswith(PACK_WORDS)]
    return value, packs[0] if packs else None


def vectorize_pad(schedule: Schedule, lanes: int) -> None:
    """Copy the padded input in vectors, if the layer pads."""
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        if schedule.get(block).name_hint == "pad":
            channel = schedule.get_loops(block)[-1]
            extent = int(schedule.get(channel).extent)
            if extent % lanes == 0:
                _, lane = schedule.split(channel, [None, lanes])
                schedule.vectorize(lane)


def _names(schedule: Schedule, blocks: list[s_tir.schedule.SBlockRV]) -> list[str]:
    return [schedule.get(block).name_hint for block in blocks]
