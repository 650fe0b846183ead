"""The schedule of a layer whose result is pooled, and perhaps packed, while it is at hand.

    pad -> anchor (a reduction) -> epilogue -> value -> mean of 2 x 2 [-> pack]

A pixel of the tile is one of the pool: two neighbouring outputs in each of two rows. The tile computes both rows one
after the other, with the register tile of :mod:`schedules.templates.layer`, into a buffer that stays in the nearest
cache, packs that, and adds it up. The layer's own result never crosses memory.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from tvm import s_tir

from schedules.machines.dot import Dot
from schedules.templates.layer import (
    Factors,
    Loop,
    Schedule,
    blocked_around,
    fixed,
    inlinable,
    split_channels,
    tile_reduction,
    value_and_pack,
    vectorize_pad,
)
from schedules.templates.parallel import parallelize, vector_steps
from schedules.templates.tile import Tile

Block: TypeAlias = s_tir.schedule.SBlockRV

#: The blocks that TVM lowers a mean over windows to.
SUM, MEAN = "pool_sum", "pool_avg"
#: Rows and columns of a window.
SIZE = 2


def schedule_pooled(
    schedule: Schedule,
    anchor: str,
    tile: Tile,
    dot: Dot | None = None,
    pixel_factors: Factors = fixed,
    row_factors: Factors = fixed,
) -> None:
    """Schedule a fused layer in place; parameters as in :func:`schedules.templates.layer.schedule_anchored`."""
    for block in inlinable(schedule, anchor, SUM):
        schedule.compute_inline(block)
    reduction = schedule.get_sblock(anchor)
    value, pack = value_and_pack(schedule, reduction)
    vectorize_pad(schedule, tile.lanes)
    total, mean = schedule.get_sblock(SUM), schedule.get_sblock(MEAN)

    sample, row, pixel, channel = schedule.get_loops(mean)
    pixels = pixel_factors(schedule, pixel, tile.pixels)
    pixel_tile, pixel_inner = schedule.split(pixel, pixels)
    channel_tile, group, vector, lane = split_channels(schedule, channel, tile)
    rows = None if tile.rows is None else row_factors(schedule, row, tile.rows)
    outer = sample, row
    around = [channel_tile, *outer] if rows is None else blocked_around(schedule, outer, channel_tile, rows)
    schedule.reorder(*around, pixel_tile, group, pixel_inner, vector, lane)
    schedule.compute_at(total, vector, preserve_unit_loops=True)
    if pack is not None:
        words = int(schedule.get(channel_tile).extent)
        pixel_tile = schedule.merge(pixel_tile, _tile_of_words(schedule, pack, pixels, rows, words))
        around = schedule.get_loops(mean)[: len(around)]
    schedule.compute_at(value, pixel_tile, preserve_unit_loops=True)
    *_, row_of_two, pixel_of_two, channel = schedule.get_loops(value)
    group, vector_inner, lane_inner = schedule.split(channel, [None, tile.vectors, tile.lanes])
    schedule.reorder(row_of_two, group, pixel_of_two, vector_inner, lane_inner)
    schedule.compute_at(reduction, group, preserve_unit_loops=True)
    parallelize(schedule, around[: tile.shared], vector_steps(schedule, reduction, tile.lanes))
    schedule.set_scope(reduction, 0, "local")
    tile_reduction(schedule, reduction, tile, dot)
    for loop in (pixel_of_two, vector_inner, vector):
        schedule.unroll(loop)
    for loop in (lane_inner, lane):
        schedule.vectorize(loop)
    _add_up(schedule, total)


def _tile_of_words(schedule: Schedule, pack: Block, pixels: list[Any], rows: list[Any] | None, words: int) -> Loop:
    """Give the packing the loops of the means, down to the one around a tile; return that."""
    sample, row, pixel, word = schedule.get_loops(pack)
    row, row_of_two = schedule.split(row, [None, SIZE])
    pixel_tile, pixel_inner = schedule.split(pixel, _doubled(pixels))
    word_tile, word_inner = schedule.split(word, [words, None])
    outer = sample, row
    around = [word_tile, *outer] if rows is None else blocked_around(schedule, outer, word_tile, rows)
    schedule.reorder(*around, pixel_tile, row_of_two, pixel_inner, word_inner)
    return pixel_tile


def _doubled(pixels: list[Any]) -> list[Any]:
    """Return the factors that make as many tiles of what a pool reads; sampled ones are no numbers yet."""
    outer, inner = pixels
    return [None, inner * SIZE] if outer is None else [outer, None]


def _add_up(schedule: Schedule, total: Block) -> None:
    """Add the four vectors of a window in their order."""
    schedule.set_scope(total, 0, "local")
    *_, lane, row, column = schedule.get_loops(total)
    schedule.reorder(row, column, lane)
    for loop in (row, column):
        schedule.unroll(loop)
    schedule.vectorize(lane)
    start = schedule.decompose_reduction(total, row)
    schedule.vectorize(schedule.get_loops(start)[-1])
