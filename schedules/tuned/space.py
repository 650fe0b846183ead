"""The search space of a kernel: the template's knobs, as MetaSchedule samples them.

Every design of the space is the template with some knobs fixed and two left open: the pixels of the register tile and,
where a layer has rows, how many of them are blocked. A design is valid whatever is drawn for those: what is drawn
divides the layer, and with the most pixels that a design allows its accumulators, weights and inputs still fit the
registers. The default schedule is one point.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Sequence
from typing import Any

import tvm
from tvm import s_tir

from schedules.choice import schedule_layer
from schedules.kernels.binary import bconv2d
from schedules.kernels.table import WINOGRAD_CONV2D
from schedules.machines.isa import Isa
from schedules.templates.anchored import Anchored, anchored
from schedules.templates.layer import Schedule
from schedules.templates.tile import TEMPORARIES, Tile, depth_of_loads, divisors
from schedules.tuned.workload import workload_hash

#: Weight vectors of a tile, at most: rows of a linear layer have no pixels, so their accumulators are all along them.
_MOST_VECTORS = 8
_UNROLLED = (1, 2, 3, 4)


def designs(layer: Anchored, isa: Isa, threads: int = 1, caches: bool = True) -> list[Tile]:
    """Return the designs of a layer; ``pixels`` and ``rows`` of each are the most that may be drawn.

    What threads share is only open where there are several; what matters for caches only, if who judges knows of them.
    """
    found = []
    for vectors in divisors(layer.shape[-1] // layer.tile.lanes):
        if vectors > _MOST_VECTORS and vectors != layer.tile.vectors:
            continue
        knobs = itertools.product(
            _groups(layer, vectors),
            _depths(layer, vectors, isa),
            _unrolled(layer, isa),
            _rows(layer),
            _shared(layer, threads),
        )
        for groups, depth, unroll, rows, shared in knobs:
            known = caches or _is_known_without_caches(layer, vectors, rows)
            if not (known and _fits_loops(layer, isa, depth * unroll)):
                continue
            pixels = _most_pixels(layer, isa, Tile(0, vectors, layer.tile.lanes, groups, depth, unroll, rows, shared))
            if pixels:
                found.append(Tile(pixels, vectors, layer.tile.lanes, groups, depth, unroll, rows, shared))
    return found


def _most_pixels(layer: Anchored, isa: Isa, tile: Tile) -> int:
    """Return the most pixels whose tile fits the registers; 0 if one does not."""
    registers = isa.registers
    if layer.kernel.anchor in bconv2d.ANCHORS and isa.binary_lanes <= _LOOKED_UP_LANES:
        # Counting by table lookup or in general registers wants half of them for itself.
        registers = min(registers, isa.accumulators + tile.vectors + TEMPORARIES)
    if tile.unroll > 1:
        # With more than half of the registers accumulating, LLVM mixes the steps and spills.
        registers = min(registers, isa.registers // 2 + tile.vectors + TEMPORARIES)
    loads, vectors = 1 if tile.depth > 1 else 0, tile.vectors * layer.outputs
    most = (registers - vectors - TEMPORARIES) // (vectors + loads)
    plain = dataclasses.replace(layer.tile, pixels=0)
    if dataclasses.replace(tile, pixels=0) == plain:
        most = max(most, layer.tile.pixels)
    return max((pixels for pixels in divisors(layer.shape[-2]) if pixels <= most), default=0)


#: Vectors of so many 64-bit counters, or fewer, have no popcount instruction.
_LOOKED_UP_LANES = 4


def _groups(layer: Anchored, vectors: int) -> Sequence[int | None]:
    if layer.span is None:
        return [layer.tile.groups]
    blocks, lanes = layer.shape[-1] // layer.tile.lanes, layer.tile.lanes
    fitting = [count for count in divisors(blocks // vectors) if count * vectors * lanes % layer.span == 0]
    return fitting[:2] or [None]


def _depths(layer: Anchored, vectors: int, isa: Isa) -> Sequence[int]:
    if not (layer.loads_vectors(isa) and layer.is_within_group(vectors)):
        return [1]
    depth = depth_of_loads(layer.depth, layer.tile.lanes)
    return [depth, depth // 2] if depth % 4 == 0 else [depth]


def _is_known_without_caches(layer: Anchored, vectors: int, rows: int | None) -> bool:
    return rows == layer.tile.rows and (vectors <= _MOST_VECTORS // 2 or vectors == layer.tile.vectors)


def _unrolled(layer: Anchored, isa: Isa) -> Sequence[int]:
    if layer.dot is not None or layer.kernel is WINOGRAD_CONV2D:
        return [1]
    return sorted({*_UNROLLED, layer.columns}) if layer.unrolls_columns(isa) else _UNROLLED


def _fits_loops(layer: Anchored, isa: Isa, steps: int) -> bool:
    """Tell whether so many steps divide the depth, or are a whole row of the window."""
    return layer.depth % steps == 0 or (layer.unrolls_columns(isa) and steps == layer.depth * layer.columns)


def _rows(layer: Anchored) -> Sequence[int | None]:
    if layer.kernel is WINOGRAD_CONV2D:
        return [layer.tile.rows]
    rows = layer.shape[-3] if _has_rows(layer) else 1
    return [None] if rows == 1 or layer.unpacks else [None, rows // 2]


_PIXELS_AND_CHANNELS = 2
_SEVERAL = 2


def _shared(layer: Anchored, threads: int) -> Sequence[int | None]:
    is_open = threads > 1 and _has_rows(layer) and layer.kernel is not WINOGRAD_CONV2D
    return [None, 1] if is_open else [None]


def _has_rows(layer: Anchored) -> bool:
    """Tell whether tiles of channels and rows can take turns; a batch of products has an operand for each instead."""
    return len(layer.shape) > _PIXELS_AND_CHANNELS and layer.kernel.anchor != bconv2d.PRODUCT


def generate(schedule: Schedule, isa: Isa, threads: int = 1, caches: bool = True) -> list[Schedule]:
    """Return a schedule for every design, with what is open drawn at random; for ``ScheduleFn``."""
    layer = _anchored(schedule, isa)
    return [_designed(schedule, layer, tile, isa, None) for tile in designs(layer, isa, threads, caches)]


def default_point(function: tvm.tirx.PrimFunc, isa: Isa) -> Schedule:
    """Return the schedule that a layer gets without a log, as a point of the space: its trace can be replayed."""
    schedule = s_tir.Schedule(tvm.IRModule({"main": function}), debug_mask="none")
    layer = _anchored(schedule, isa)
    closed = dataclasses.replace(layer.tile, pixels=0)
    (design,) = [tile for tile in designs(layer, isa) if dataclasses.replace(tile, pixels=0) == closed]
    return _designed(schedule, layer, design, isa, layer.tile)


def all_designs(schedule: Schedule, isa: Isa) -> list[Tile]:
    """Return every design that some search goes through, however many threads it is for and whoever judges."""
    return designs(_anchored(schedule, isa), isa, _SEVERAL)


def designed(schedule: Schedule, tile: Tile, isa: Isa) -> Schedule:
    """Return a copy of a schedule, scheduled by a design, with what is open drawn at random."""
    return _designed(schedule, _anchored(schedule, isa), tile, isa, None)


def _anchored(schedule: Schedule, isa: Isa) -> Anchored:
    layer = anchored(schedule, isa)
    if layer is None:
        raise ValueError("the function has no anchor: plain loops have no search space")
    return layer


def _designed(schedule: Schedule, layer: Anchored, design: Tile, isa: Isa, drawn: Tile | None) -> Schedule:
    """Return a copy of a schedule, scheduled by a design; ``drawn`` decides what it leaves open, None leaves it so."""

    def pixels(on: Schedule, loop: s_tir.schedule.LoopRV, most: int) -> list[Any]:
        inner = None if drawn is None else drawn.pixels
        return _drawn(on, loop, most, inner)

    def rows(on: Schedule, loop: s_tir.schedule.LoopRV, most: int) -> list[Any]:
        inner = None if drawn is None else drawn.rows
        return _drawn(on, loop, most, inner)

    copy = schedule.copy()
    schedule_layer(copy, layer, design, isa, pixels, rows)
    return copy


def _drawn(schedule: Schedule, loop: s_tir.schedule.LoopRV, most: int, inner: int | None) -> list[Any]:
    decision = None if inner is None else [int(schedule.get(loop).extent) // inner, inner]
    return list(schedule.sample_perfect_tile(loop, 2, max_innermost_factor=most, decision=decision))


def kernel_version(function: tvm.tirx.PrimFunc, isa: Isa) -> str:
    """Return the hash of what a layer means and of the space that is searched for it.

    Parameters
    ----------
    function
        As ``schedules.tuned.workload.normalized`` returns it.
    isa
        Whose space it is.
    """
    point = default_point(function, isa)
    layer = _anchored(s_tir.Schedule(tvm.IRModule({"main": function})), isa)
    parts = (workload_hash(function), point.trace, designs(layer, isa, _SEVERAL), isa)
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]
