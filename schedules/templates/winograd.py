"""The schedule of Winograd's convolution: a register tile of pairs of columns, both sums in it, rows in blocks."""

from __future__ import annotations

from typing import TypeAlias

from tvm import s_tir

from schedules.kernels.floats.winograd import ANCHOR, SHARED
from schedules.kernels.floats.winograd_transform import TRANSFORM
from schedules.machines.isa import Isa
from schedules.templates.layer import Factors, Schedule, fixed, inlinable, value_and_pack
from schedules.templates.parallel import parallelize, vector_steps
from schedules.templates.tile import MOST_VECTORS, TEMPORARIES, Tile, divisors, groups_of

Block: TypeAlias = s_tir.schedule.SBlockRV
#: Of the transformed rows that stay in the cache while all tiles of channels are computed from them.
_MOST_BYTES = 1 << 18
#: Blocks of rows, a multiple of which leaves none of so many threads without.
_THREADS = 4


def choose_pairs(
    size: tuple[int, int], read: tuple[int, int, int], channels: int, lanes: int, isa: Isa, span: int | None
) -> Tile:
    """Return the tile that keeps the arithmetic units busiest without a tuning log; its pixels are pairs of columns.

    Parameters
    ----------
    size
        Rows of the output, and pairs of columns in one.
    read
        Transformed rows that one row of the output reads, those that the next does not, and the bytes of one.
    channels, lanes, isa, span
        As for :func:`schedules.templates.tile.choose_tile`.
    """
    rows, pairs = size
    blocks = channels // lanes
    candidates = [(p, v) for p in divisors(pairs) for v in divisors(blocks) if v <= MOST_VECTORS and fits(p, v, isa)]
    pixels, vectors = max(candidates, key=lambda tile: (tile[0] * tile[1] / (tile[0] + tile[1]), tile[0]))
    return Tile(pixels, vectors, lanes, groups_of(blocks, vectors, lanes, span), rows=_rows_at_once(rows, *read))


def _rows_at_once(rows: int, window: int, stride: int, row_bytes: int) -> int:
    """Return how many rows are computed from transformed rows that stay in a cache, in blocks that threads share."""
    shared = rows // _THREADS if rows % _THREADS == 0 else rows
    fitting = [at_once for at_once in divisors(shared) if ((at_once - 1) * stride + window) * row_bytes <= _MOST_BYTES]
    return max(fitting, default=1)


def fits(pairs: int, vectors: int, isa: Isa) -> bool:
    """Tell whether a tile's accumulators, the weights of both columns of a pair, an input and a product fit."""
    return 2 * pairs * vectors <= isa.accumulators and 2 * vectors * (pairs + 1) + TEMPORARIES <= isa.registers


def schedule_winograd(
    schedule: Schedule, tile: Tile, isa: Isa, pixel_factors: Factors = fixed, row_factors: Factors = fixed
) -> None:
    """Schedule a fused layer in place; parameters as in :func:`schedules.templates.layer.schedule_anchored`."""
    if tile.rows is None:
        raise ValueError("the rows of a tile are blocked: their transformed input has to stay in a cache")
    for block in inlinable(schedule, ANCHOR, SHARED, TRANSFORM):
        schedule.compute_inline(block)
    total, both, transform = (schedule.get_sblock(name) for name in (ANCHOR, SHARED, TRANSFORM))
    value, pack = value_and_pack(schedule, total)
    sample, row, column, channel = schedule.get_loops(value)
    pair, parity = schedule.split(column, [None, 2])
    pair_tile, pair = schedule.split(pair, pixel_factors(schedule, pair, tile.pixels))
    channel_tile, group, vector, lane = schedule.split(channel, [None, tile.groups or 1, tile.vectors, tile.lanes])
    row_block, row = schedule.split(row, row_factors(schedule, row, tile.rows))
    schedule.reorder(sample, row_block, channel_tile, row, pair_tile, group, pair, parity, vector, lane)
    if pack is not None and tile.groups is not None:
        schedule.reverse_compute_at(pack, pair_tile, preserve_unit_loops=True)
    for block in (total, both):
        schedule.compute_at(block, group, preserve_unit_loops=True)
    schedule.compute_at(transform, row_block, preserve_unit_loops=True)
    parallelize(schedule, [sample, row_block], vector_steps(schedule, total, tile.lanes))
    for block in (both, total):
        schedule.set_scope(block, 0, "local")
        _tile_sum(schedule, block, tile, isa)
    for loop in (pair, parity, vector):
        schedule.unroll(loop)
    schedule.vectorize(lane)


def _tile_sum(schedule: Schedule, block: Block, tile: Tile, isa: Isa) -> None:
    """Order a sum's loops: terms outside, inside the even columns and then the odd ones, each with its weights."""
    *_, pair, parity, channel, row, term = schedule.get_loops(block)
    vector, lane = schedule.split(channel, [None, tile.lanes])
    schedule.reorder(row, term, parity, pair, vector, lane)
    if not isa.broadcasts_from_memory:
        _load_columns(schedule, block, term)
    for loop in (parity, pair, vector):
        schedule.unroll(loop)
    schedule.vectorize(lane)
    start = schedule.decompose_reduction(block, row)
    *_, pair, parity, vector, lane = schedule.get_loops(start)
    for loop in (pair, parity, vector):
        schedule.unroll(loop)
    schedule.vectorize(lane)


def _load_columns(schedule: Schedule, block: Block, term: s_tir.schedule.LoopRV) -> None:
    """Load what one term reads as vectors of columns, and broadcast from their lanes."""
    inputs = len(schedule.get(block).reads) - 2
    loaded = schedule.cache_read(block, inputs, "local", [block])
    schedule.compute_at(loaded, term, preserve_unit_loops=True)
    schedule.vectorize(schedule.get_loops(loaded)[-1])
