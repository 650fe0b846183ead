"""The schedule of what reduces along the last axes: a softmax, a layer's normalisation, a mean of each sample.

A row, which may be several axes that follow each other in memory, is read as vectors, each lane reduces its own share,
and the lanes are reduced at the end. All steps of one row follow each other, so that it stays in the cache nearest to
the core.

So many partial sums are faster than one, and more exact: the error of n additions in turn grows with n, here with what
a lane adds and with the number of lanes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from tvm import s_tir, tirx
from tvm.ir import Expr as Index

from schedules.kernels.variables import variables_of
from schedules.templates.parallel import parallelize

Schedule: TypeAlias = s_tir.Schedule
Loop: TypeAlias = s_tir.schedule.LoopRV
Block: TypeAlias = s_tir.schedule.SBlockRV

#: Vectors that a long row is reduced in: enough to hide what one addition waits for the one before.
_MOST_VECTORS = 8


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
    axes
        That make a row.
    length
        Of a row.
    """

    reductions: tuple[str, ...]
    kept: tuple[str, ...]
    output: str
    axes: int
    length: int


def schedule_rows(schedule: Schedule, lanes: int) -> bool:
    """Schedule the module's one function in place, if it reduces rows, in whole vectors; tell whether it does."""
    steps = _steps(schedule, lanes)
    if steps is None:
        return False
    for name in _names(schedule):
        if name not in (*steps.reductions, *steps.kept, steps.output):
            schedule.compute_inline(schedule.get_sblock(name))
    for name in _names(schedule):
        block = schedule.get_sblock(name)
        if not schedule.get_loops(block):  # of a lone number; beside such a block, rfactor fails
            schedule.add_unit_loop(block)
    width = lanes * _vectors(steps.length, lanes)
    partials = [_split_lanes(schedule, name, steps.axes, width) for name in steps.reductions]
    rows = _rows(schedule, steps, lanes)
    for name in reversed(_names(schedule)):
        if name != steps.output:
            schedule.compute_at(schedule.get_sblock(name), rows[-1], preserve_unit_loops=True)
    for name in steps.kept:
        _vectorize(schedule, schedule.get_loops(schedule.get_sblock(name))[-steps.axes :], lanes)
    count = math.prod(int(schedule.get(loop).extent) for loop in rows)
    rows = parallelize(schedule, rows, count * steps.length * len(steps.reductions) // lanes)
    for name in partials:
        _reduce_lanes(schedule, schedule.get_sblock(name), len(rows), lanes)
    return True


def _steps(schedule: Schedule, lanes: int) -> _Steps | None:
    names = _names(schedule)
    reductions = tuple(name for name in names if _reduced(schedule, name))
    outputs = [schedule.get(block).name_hint for block in schedule.get_output_blocks("root")]
    rows = {_row(schedule, name) for name in reductions}
    row = rows.pop() if len(rows) == 1 else None
    if len(outputs) != 1 or row is None:
        return None
    (output,), axes, length = outputs, len(row), math.prod(row)
    shapes = {_shape(schedule, name) for name in reductions}
    if length % lanes or len(shapes) != 1:
        return None
    (numbers,) = shapes
    elements = _shape(schedule, output)
    whole = math.prod(numbers) * length
    if elements != numbers and (elements[-axes:] != row or math.prod(elements) != whole):
        return None
    kept = tuple(
        name
        for name in names
        if name not in (*reductions, output)
        and _shape(schedule, name)[-axes:] == row
        and len(schedule.get_consumers(schedule.get_sblock(name))) > 1
    )
    return _Steps(reductions, kept, output, axes, length)


def _names(schedule: Schedule) -> list[str]:
    return [schedule.get(block).name_hint for block in schedule.get_child_blocks(schedule.get_sblock("root"))]


def _shape(schedule: Schedule, name: str) -> tuple[int, ...]:
    """Return the shape of what a block writes."""
    return tuple(int(extent) for extent in schedule.get(schedule.get_sblock(name)).writes[0].source.shape)


def _reduced(schedule: Schedule, name: str) -> list[Any]:
    axes = schedule.get(schedule.get_sblock(name)).iter_vars
    return [axis for axis in axes if axis.iter_type == tirx.IterVar.CommReduce]


def _row(schedule: Schedule, name: str) -> tuple[int, ...] | None:
    """Return the extents of a reduction of rows that are read as they lie in memory; None of any other reduction."""
    axes, block = _reduced(schedule, name), schedule.get(schedule.get_sblock(name))
    if not axes:
        return None
    row = tuple(int(axis.dom.extent) for axis in axes)
    read = [region for region in block.reads if any(_mentions(index.min, axes) for index in region.region)]
    whole = math.prod(_shape(schedule, name)) * math.prod(row)
    if not all(_ends_in(region, axes) for region in read):
        return None
    return row if whole in [math.prod(map(int, region.source.shape)) for region in read] else None


def _ends_in(region: tirx.BufferRegion, axes: Sequence[tirx.IterVar]) -> bool:
    last = list(region.region)[-len(axes) :]
    return len(last) == len(axes) and all(axis.var.same_as(index.min) for axis, index in zip(axes, last, strict=True))


def _mentions(index: Index, axes: Sequence[tirx.IterVar]) -> bool:
    return not variables_of(index).isdisjoint(axis.var for axis in axes)


def _vectors(length: int, lanes: int) -> int:
    """Return how many vectors reduce a row: no more partial results than each takes steps, and no remainder."""
    fitting = [n for n in range(1, _MOST_VECTORS + 1) if length % (n * lanes) == 0 and (n * lanes) ** 2 <= length]
    return max(fitting, default=1)


def _split_lanes(schedule: Schedule, name: str, axes: int, width: int) -> str:
    """Have each of ``width`` lanes reduce its own share; return the name of the block that does."""
    block = schedule.get_sblock(name)
    _, lane = schedule.split(_fused(schedule, schedule.get_loops(block)[-axes:]), [None, width])
    partial = schedule.rfactor(lane, factor_axis=len(_shape(schedule, name)))
    return str(schedule.get(partial).name_hint)


def _reduce_lanes(schedule: Schedule, partial: Block, rows: int, lanes: int) -> None:
    """Reduce a row's vectors in registers."""
    lane, *_, step = schedule.get_loops(partial)[rows:]
    schedule.set_scope(partial, 0, "local")
    schedule.reorder(step, lane)
    _unroll_vectors(schedule, lane, lanes)
    start = schedule.decompose_reduction(partial, step)
    _unroll_vectors(schedule, schedule.get_loops(start)[-1], lanes)


def _unroll_vectors(schedule: Schedule, loop: Loop, lanes: int) -> None:
    vector, lane = schedule.split(loop, [None, lanes])
    schedule.unroll(vector)
    schedule.vectorize(lane)


def _rows(schedule: Schedule, steps: _Steps, lanes: int) -> list[Loop]:
    """Return the loops over the rows of the output, the rest of which is vectorised."""
    loops = list(schedule.get_loops(schedule.get_sblock(steps.output)))
    if steps.output in steps.reductions:
        rows, (lane,) = loops[:-1], loops[-1:]
        return rows or [schedule.add_unit_loop(lane)]
    if _shape(schedule, steps.output) == _shape(schedule, steps.reductions[0]):
        return loops
    rows = loops[: -steps.axes] or [schedule.add_unit_loop(loops[0])]
    _vectorize(schedule, loops[-steps.axes :], lanes)
    return rows


def _vectorize(schedule: Schedule, loops: Sequence[Loop], lanes: int) -> None:
    _, lane = schedule.split(_fused(schedule, loops), [None, lanes])
    schedule.vectorize(lane)


def _fused(schedule: Schedule, loops: Sequence[Loop]) -> Loop:
    return loops[0] if len(loops) == 1 else schedule.fuse(*loops)
