"""The schedule of what reduces along the channels: a softmax, a layer's normalisation, a sum of each row.

A row is read as vectors, each lane reduces its own share, and the lanes are reduced at the end. All steps of one row
follow each other, so that it stays in the cache nearest to the core.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeAlias

import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir import Expr as Index

from schedules.parallel import parallelize

Schedule: TypeAlias = s_tir.Schedule
Loop: TypeAlias = s_tir.schedule.LoopRV
Block: TypeAlias = s_tir.schedule.SBlockRV


@dataclasses.dataclass(frozen=True)
class _Steps:
    """What a function does with each row.

    Parameters
    ----------
    reductions
        In order.
    kept
        What is computed for each element and read by several others: a softmax's exponentials.
    output
        As long as a row, or a number for each.
    length
        Of a row.
    """

    reductions: tuple[str, ...]
    kept: tuple[str, ...]
    output: str
    length: int


def schedule_rows(schedule: Schedule, lanes: int) -> bool:
    """Schedule the module's one function in place, if it reduces rows, in whole vectors; tell whether it does."""
    steps = _steps(schedule, lanes)
    if steps is None:
        return False
    for name in _names(schedule):
        if name not in (*steps.reductions, *steps.kept, steps.output):
            schedule.compute_inline(schedule.get_sblock(name))
    partials = [_split_lanes(schedule, name, lanes) for name in steps.reductions]
    rows = _rows(schedule, steps, lanes)
    for name in reversed(_names(schedule)):
        if name != steps.output:
            schedule.compute_at(schedule.get_sblock(name), rows[-1], preserve_unit_loops=True)
    for name in steps.kept:
        _vectorize(schedule, schedule.get_loops(schedule.get_sblock(name))[-1], lanes)
    count = math.prod(int(schedule.get(loop).extent) for loop in rows)
    rows = parallelize(schedule, rows, count * steps.length * len(steps.reductions) // lanes)
    for name in partials:
        _reduce_lanes(schedule, schedule.get_sblock(name), len(rows))
    return True


def _steps(schedule: Schedule, lanes: int) -> _Steps | None:
    names = _names(schedule)
    reductions = tuple(name for name in names if _reduced(schedule, name))
    outputs = [schedule.get(block).name_hint for block in schedule.get_output_blocks("root")]
    lengths = {_row_length(schedule, name) for name in reductions}
    length = lengths.pop() if len(lengths) == 1 else None
    if len(outputs) != 1 or length is None:
        return None
    (output,) = outputs
    shapes = {_shape(schedule, name) for name in reductions}
    if length % lanes or len(shapes) != 1:
        return None
    (numbers,) = shapes
    elements = _shape(schedule, output)
    if elements != numbers and (elements[-1] != length or math.prod(elements) != math.prod(numbers) * length):
        return None
    kept = tuple(
        name
        for name in names
        if name not in (*reductions, output)
        and _shape(schedule, name)[-1] == length
        and len(schedule.get_consumers(schedule.get_sblock(name))) > 1
    )
    return _Steps(reductions, kept, output, length)


def _names(schedule: Schedule) -> list[str]:
    return [schedule.get(block).name_hint for block in schedule.get_child_blocks(schedule.get_sblock("root"))]


def _shape(schedule: Schedule, name: str) -> tuple[int, ...]:
    """Return the shape of what a block writes."""
    return tuple(int(extent) for extent in schedule.get(schedule.get_sblock(name)).writes[0].source.shape)


def _reduced(schedule: Schedule, name: str) -> list[Any]:
    axes = schedule.get(schedule.get_sblock(name)).iter_vars
    return [axis for axis in axes if axis.iter_type == tirx.IterVar.CommReduce]


def _row_length(schedule: Schedule, name: str) -> int | None:
    """Return the extent of a reduction of rows that are read as they lie in memory; None of any other reduction."""
    axes, block = _reduced(schedule, name), schedule.get(schedule.get_sblock(name))
    if len(axes) != 1:
        return None
    reduced, length = axes[0].var, int(axes[0].dom.extent)
    read = [region for region in block.reads if any(_mentions(index.min, reduced) for index in region.region)]
    whole = math.prod(_shape(schedule, name)) * length
    if not all(reduced.same_as(region.region[-1].min) for region in read):
        return None
    return length if whole in [math.prod(map(int, region.source.shape)) for region in read] else None


def _mentions(index: Index, variable: tirx.Var) -> bool:
    found: list[tirx.Var] = []
    tvm_ffi.structural_walk(index, (tirx.Var, found.append))
    return any(variable.same_as(each) for each in found)


def _split_lanes(schedule: Schedule, name: str, lanes: int) -> str:
    """Have each lane reduce its own share; return the name of the block that does."""
    block = schedule.get_sblock(name)
    _, lane = schedule.split(schedule.get_loops(block)[-1], [None, lanes])
    partial = schedule.rfactor(lane, factor_axis=len(_shape(schedule, name)))
    return str(schedule.get(partial).name_hint)


def _reduce_lanes(schedule: Schedule, partial: Block, rows: int) -> None:
    """Reduce a row's vectors in a register."""
    lane, *_, step = schedule.get_loops(partial)[rows:]
    schedule.set_scope(partial, 0, "local")
    schedule.reorder(step, lane)
    schedule.vectorize(lane)
    start = schedule.decompose_reduction(partial, step)
    schedule.vectorize(schedule.get_loops(start)[-1])


def _rows(schedule: Schedule, steps: _Steps, lanes: int) -> list[Loop]:
    """Return the loops over the rows of the output, the rest of which is vectorised."""
    loops = list(schedule.get_loops(schedule.get_sblock(steps.output)))
    if steps.output in steps.reductions:
        return loops[:-1]
    if _shape(schedule, steps.output) == _shape(schedule, steps.reductions[0]):
        return loops
    _vectorize(schedule, loops[-1], lanes)
    return loops[:-1]


def _vectorize(schedule: Schedule, loop: Loop, lanes: int) -> None:
    _, lane = schedule.split(loop, [None, lanes])
    schedule.vectorize(lane)
