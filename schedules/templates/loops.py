"""The schedule of everything without an anchor: pools, means, lone elementwise chains, packing on its own."""

from __future__ import annotations

import math
from typing import TypeAlias

from tvm import s_tir, tirx

from schedules.templates.parallel import parallelize, vector_steps
from schedules.templates.rows import schedule_rows

Schedule: TypeAlias = s_tir.Schedule
Block: TypeAlias = s_tir.schedule.SBlockRV

#: Axes that threads share: sample and image row.
_ROWS = 2
#: Vectors of channels that are reduced at a time: enough to hide what one addition waits for the one before.
_MOST_VECTORS = 8
#: Taps of a window that are unrolled; a mean over a whole image stays a loop.
_MOST_UNROLLED = 16


def schedule_loops(schedule: Schedule, lanes: int) -> None:
    """Schedule the module's one function in place: fold elementwise blocks together, vectorise the channels.

    Reductions run outside the channel loop, so that a pool or a mean over NHWC adds whole vectors of channels, and they
    do so in registers.
    """
    if schedule_rows(schedule, lanes):
        return
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        if not (_is_output(schedule, block) or _reduces(schedule, block) or _packs_below(schedule, block)):
            schedule.compute_inline(block)
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        if _reduces(schedule, block) and _has_whole_vectors(schedule, block, lanes):
            _reduce_in_registers(schedule, block, lanes)
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        if _loads_vectors(schedule, block):
            _compute_at_hand(schedule, block, lanes)
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        _vectorize_channels(schedule, block, lanes)


def _compute_at_hand(schedule: Schedule, pack: Block, lanes: int) -> None:
    """Compute what is only packed where it is packed: it stays in registers, or near to them."""
    values = schedule.get_producers(pack)
    if len(values) != 1 or _is_output(schedule, values[0]) or len(schedule.get_consumers(values[0])) > 1:
        return
    (value,) = values
    if any(_reduces(schedule, block) for block in (value, *schedule.get_producers(value))):
        return
    schedule.compute_at(value, schedule.get_loops(pack)[-1], preserve_unit_loops=True)
    channel = schedule.get_loops(value)[-1]
    if int(schedule.get(channel).extent) % lanes == 0:
        vector, lane = schedule.split(channel, [None, lanes])
        schedule.unroll(vector)
        schedule.vectorize(lane)


def _has_whole_vectors(schedule: Schedule, block: Block, lanes: int) -> bool:
    """Tell whether a reduction to one tensor can go by whole vectors of its innermost spatial axis."""
    if len(schedule.get(block).writes) > 1:  # a mean and a variance, which would need a loop nest for both
        return False
    kinds = [axis.iter_type == tirx.IterVar.CommReduce for axis in schedule.get(block).iter_vars]
    loops = schedule.get_loops(block)
    if len(loops) != len(kinds) or all(kinds) or kinds != sorted(kinds):
        return False
    return int(schedule.get(loops[kinds.count(False) - 1]).extent) % lanes == 0


def _reduce_in_registers(schedule: Schedule, block: Block, lanes: int) -> None:
    """Reduce a few vectors of channels at a time, where the result is read or written."""
    steps = vector_steps(schedule, block, lanes)
    taps = sum(axis.iter_type == tirx.IterVar.CommReduce for axis in schedule.get(block).iter_vars)
    value = _reader_of_the_same_shape(schedule, block)
    if value is None:
        value = schedule.cache_write(block, 0, "global")
    *outer, channel = schedule.get_loops(value)
    vectors = _vectors(int(schedule.get(channel).extent) // lanes)
    chunk, vector, lane = schedule.split(channel, [None, vectors, lanes])
    parallelize(schedule, outer[:_ROWS], steps)
    schedule.compute_at(block, chunk, preserve_unit_loops=True)
    schedule.set_scope(block, 0, "local")
    loops = schedule.get_loops(block)
    reduced, inner = loops[-taps:], loops[-taps - 1]
    inner_vector, inner_lane = schedule.split(inner, [None, lanes])
    schedule.reorder(*reduced, inner_vector, inner_lane)
    if math.prod(int(schedule.get(loop).extent) for loop in reduced) <= _MOST_UNROLLED:
        for loop in reduced:
            schedule.unroll(loop)
    for loop in (vector, inner_vector):
        schedule.unroll(loop)
    for loop in (lane, inner_lane):
        schedule.vectorize(loop)
    schedule.decompose_reduction(block, reduced[0])


def _vectors(blocks: int) -> int:
    return max(count for count in range(1, _MOST_VECTORS + 1) if blocks % count == 0)


def _reader_of_the_same_shape(schedule: Schedule, block: Block) -> Block | None:
    """Return the one block that goes on computing with each of a reduction's results, as an average does."""
    consumers = schedule.get_consumers(block)
    if len(consumers) != 1 or _reduces(schedule, consumers[0]) or _loads_vectors(schedule, consumers[0]):
        return None
    ours, theirs = ([int(n) for n in schedule.get(each).writes[0].source.shape] for each in (block, consumers[0]))
    return consumers[0] if ours == theirs else None


def _vectorize_channels(schedule: Schedule, block: Block, lanes: int) -> None:
    axes = list(schedule.get(block).iter_vars)
    loops = schedule.get_loops(block)
    if len(loops) != len(axes):
        return
    spatial = [loop for loop, axis in zip(loops, axes, strict=True) if axis.iter_type != tirx.IterVar.CommReduce]
    if not spatial:
        return
    *outer, channel = spatial
    if outer:
        parallelize(schedule, outer[:_ROWS], vector_steps(schedule, block, lanes))
    if _reduces(schedule, block) or int(schedule.get(channel).extent) % lanes or _loads_vectors(schedule, block):
        return
    _, lane = schedule.split(channel, [None, lanes])
    schedule.vectorize(lane)


def _is_output(schedule: Schedule, block: Block) -> bool:
    name = schedule.get(block).name_hint
    return name in {schedule.get(output).name_hint for output in schedule.get_output_blocks("root")}


def _reduces(schedule: Schedule, block: Block) -> bool:
    return any(axis.iter_type == tirx.IterVar.CommReduce for axis in schedule.get(block).iter_vars)


def _packs_below(schedule: Schedule, block: Block) -> bool:
    return any(_loads_vectors(schedule, consumer) for consumer in schedule.get_consumers(block))


def _loads_vectors(schedule: Schedule, block: Block) -> bool:
    """Packing compares whole vectors already."""
    return str(schedule.get(block).name_hint).startswith("pack")
