"""The schedule of everything without an anchor: pools, means, lone elementwise chains, packing on its own."""

from __future__ import annotations

from typing import TypeAlias

from tvm import s_tir, tirx

from schedules.parallel import parallelize, vector_steps

Schedule: TypeAlias = s_tir.Schedule

#: Axes that threads share: sample and image row.
_ROWS = 2


def schedule_loops(schedule: Schedule, lanes: int) -> None:
    """Schedule the module's one function in place: fold elementwise blocks together, vectorise the channels.

    Reductions run outside the channel loop, so that a pool or a mean over NHWC adds whole vectors of channels.
    """
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        if not (_is_output(schedule, block) or _reduces(schedule, block) or _packs_below(schedule, block)):
            schedule.compute_inline(block)
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        _vectorize_channels(schedule, block, lanes)


def _vectorize_channels(schedule: Schedule, block: s_tir.schedule.SBlockRV, lanes: int) -> None:
    axes = list(schedule.get(block).iter_vars)
    loops = schedule.get_loops(block)
    if len(loops) != len(axes):
        return
    spatial = [loop for loop, axis in zip(loops, axes, strict=True) if axis.iter_type != tirx.IterVar.CommReduce]
    reduced = [loop for loop, axis in zip(loops, axes, strict=True) if axis.iter_type == tirx.IterVar.CommReduce]
    if not spatial:
        return
    *outer, channel = spatial
    rows = parallelize(schedule, outer[:_ROWS], vector_steps(schedule, block, lanes)) if outer else []
    if int(schedule.get(channel).extent) % lanes or _loads_vectors(schedule, block):
        return
    if reduced:
        schedule.reorder(*rows, *outer[_ROWS:], *reduced, channel)
    _, lane = schedule.split(channel, [None, lanes])
    schedule.vectorize(lane)
    if reduced:
        schedule.decompose_reduction(block, reduced[0])


def _is_output(schedule: Schedule, block: s_tir.schedule.SBlockRV) -> bool:
    name = schedule.get(block).name_hint
    return name in {schedule.get(output).name_hint for output in schedule.get_output_blocks("root")}


def _reduces(schedule: Schedule, block: s_tir.schedule.SBlockRV) -> bool:
    return any(axis.iter_type == tirx.IterVar.CommReduce for axis in schedule.get(block).iter_vars)


def _packs_below(schedule: Schedule, block: s_tir.schedule.SBlockRV) -> bool:
    return any(_loads_vectors(schedule, consumer) for consumer in schedule.get_consumers(block))


def _loads_vectors(schedule: Schedule, block: s_tir.schedule.SBlockRV) -> bool:
    """Packing compares whole vectors already."""
    return str(schedule.get(block).name_hint).startswith("pack")
