"""The kernel table: what each kernel means, what it must equal, and which instruction sets it is scheduled for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import tvm
from tvm import s_tir

from schedules import amx, amx_counts, bconv2d, bf16, conv2d, int8, reference, winograd
from schedules.amx_schedule import schedule_in_tiles
from schedules.bitpack import PACK_WORDS
from schedules.dot import Dot, dot_between
from schedules.isa import ISAS, Isa
from schedules.loops import schedule_loops
from schedules.neon_tile import columns_at_once, neon_tile
from schedules.tile import (
    Factors,
    Tile,
    choose_single_tile,
    choose_tile,
    depth_of_loads,
    fixed,
    groups_of,
    schedule_anchored,
)
from schedules.winograd_schedule import choose_pairs, schedule_winograd


@dataclasses.dataclass(frozen=True)
class Kernel:
    """An operator in TIR.

    Parameters
    ----------
    name
        As reports show it.
    anchor
        The reduction block of its functions, which tells them apart from other kernels'.
    meaning
        Builds the unscheduled tensor expression.
    reference
        The same in NumPy, on signs or floats.
    lanes
        Output channels a vector, by instruction set.
    """

    name: str
    anchor: str
    meaning: Callable[..., Any]
    reference: Callable[..., Any]
    lanes: Callable[[Isa], int]


BINARY_CONV2D = Kernel("bconv2d", bconv2d.ANCHOR, bconv2d.bconv2d, reference.conv2d, lambda isa: isa.binary_lanes)
BINARY_DENSE = Kernel("bdense", bconv2d.ANCHOR, bconv2d.bdense, reference.dense, lambda isa: isa.binary_lanes)
BINARY_MATMUL = Kernel("bmatmul", bconv2d.PRODUCT, bconv2d.bmatmul, reference.matmul, lambda isa: isa.binary_lanes)
FLOAT_CONV2D = Kernel("conv2d", conv2d.ANCHOR, conv2d.conv2d, reference.conv2d, lambda isa: isa.float_lanes)
FLOAT_DENSE = Kernel("dense", conv2d.ANCHOR, conv2d.dense, reference.dense, lambda isa: isa.float_lanes)
WINOGRAD_CONV2D = Kernel(
    "conv2d_winograd", winograd.ANCHOR, winograd.conv2d, reference.conv2d, lambda isa: isa.float_lanes
)
INT8_CONV2D = Kernel("conv2d_int8", int8.ANCHOR, int8.conv2d, reference.conv2d, lambda isa: isa.float_lanes)
INT8_DENSE = Kernel("dense_int8", int8.ANCHOR, int8.dense, reference.dense, lambda isa: isa.float_lanes)
BF16_CONV2D = Kernel("conv2d_bf16", bf16.ANCHOR, bf16.conv2d, reference.conv2d, lambda isa: isa.float_lanes)
BF16_DENSE = Kernel("dense_bf16", bf16.ANCHOR, bf16.dense, reference.dense, lambda isa: isa.float_lanes)

KERNELS = (
    *(BINARY_CONV2D, BINARY_DENSE, BINARY_MATMUL, FLOAT_CONV2D, FLOAT_DENSE, WINOGRAD_CONV2D),
    *(INT8_CONV2D, INT8_DENSE, BF16_CONV2D, BF16_DENSE),
)
_OF_ANCHOR = {
    bconv2d.ANCHOR: (BINARY_CONV2D, BINARY_DENSE),
    bconv2d.PRODUCT: (BINARY_MATMUL, BINARY_MATMUL),
    conv2d.ANCHOR: (FLOAT_CONV2D, FLOAT_DENSE),
    int8.ANCHOR: (INT8_CONV2D, INT8_DENSE),
    bf16.ANCHOR: (BF16_CONV2D, BF16_DENSE),
    winograd.ANCHOR: (WINOGRAD_CONV2D,),
}
#: Those whose innermost reduction an instruction does.
_NARROW = (int8.ANCHOR, bf16.ANCHOR)
#: Those whose input no tile loads as vectors along the depth.
_WITHOUT_LOADS = (*_NARROW, winograd.ANCHOR)
#: Every row of the table: each kernel on each instruction set. Tests and benchmarks run them all.
VARIANTS = tuple((kernel, isa) for kernel in KERNELS for isa in ISAS)

_SPATIAL_OF_CONVOLUTION = 4
_FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True)
class Choice:
    """What was chosen for one function: the kernel, the instruction set and the register tile."""

    kernel: str
    isa: str
    tile: Tile | None

    def __str__(self) -> str:
        """As the report prints it: ``bconv2d/avx512-vpopcntdq 8x2``."""
        tile = "" if self.tile is None else f" {self.tile.pixels}x{self.tile.vectors}"
        return f"{self.kernel}/{self.isa}{tile}"


@dataclasses.dataclass(frozen=True)
class Anchored:
    """What the template has to know of a lowered layer.

    Parameters
    ----------
    kernel
        What the layer is.
    tile
        Chosen without a tuning log.
    dot
        As for :func:`schedules.tile.schedule_anchored`.
    shape
        Of the anchor: output positions, then (padded) channels.
    depth
        Steps of the innermost loop of the reduction.
    span
        Channels that one packed word holds; None if the layer packs nothing, or not in vectors.
    terms
        That each accumulator sums.
    unpacks
        Whether the weights are unpacked for each tile of channels.
    per_group
        Channels of the anchor that read the same inputs.
    columns
        Of the window; 1 if there is none.
    outputs
        Neighbouring outputs that a pixel of the tile stands for: two where they share products.
    """

    kernel: Kernel
    tile: Tile
    dot: Dot | None
    shape: tuple[int, ...]
    depth: int
    span: int | None
    terms: int
    unpacks: bool
    per_group: int
    columns: int = 1
    outputs: int = 1

    def loads_vectors(self, isa: Isa) -> bool:
        """Tell whether the input is loaded as vectors along the depth, not broadcast from memory."""
        return self.kernel.anchor not in _WITHOUT_LOADS and not isa.broadcasts_from_memory

    def unrolls_columns(self, isa: Isa) -> bool:
        """Tell whether the columns of the window can be unrolled where the depth is a few words."""
        return self.kernel.anchor == bconv2d.ANCHOR and self.loads_vectors(isa) and self.columns > 1

    def is_within_group(self, vectors: int) -> bool:
        """Tell whether no tile of so many vectors reaches into the next group, whose inputs are in another place."""
        return self.per_group == self.shape[-1] or self.per_group % (vectors * self.tile.lanes) == 0


def anchored(schedule: s_tir.Schedule, isa: Isa) -> Anchored | None:
    """Return what there is to know of a lowered layer with an anchor; None if it has none."""
    blocks = {schedule.get(block).name_hint: block for block in schedule.get_child_blocks(schedule.get_sblock("root"))}
    anchor = next((name for name in _OF_ANCHOR if name in blocks), None)
    if anchor is None:
        return None
    if anchor == winograd.ANCHOR:
        return _in_pairs(schedule, blocks, isa)
    reduction = schedule.get(blocks[anchor])
    shape = tuple(int(extent) for extent in reduction.writes[0].source.shape)
    activations, weights = (region.source for region in reduction.reads)
    terms, lanes, dot = _steps(schedule, blocks[anchor]), int(weights.shape[-1]), None
    steps, depth, span = terms, int(reduction.iter_vars[-1].dom.extent), _span(schedule, blocks)
    if anchor in _NARROW:
        lanes, group = int(weights.shape[-2]), int(weights.shape[-1])
        steps //= group
        dot = dot_between(str(activations.dtype), lanes) if group > 1 else None
    per_group = shape[-1] if anchor in _NARROW else shape[-1] * depth // int(activations.shape[-1])
    has_window = len(shape) == _SPATIAL_OF_CONVOLUTION and anchor != bconv2d.PRODUCT
    columns = int(reduction.iter_vars[-2].dom.extent) if has_window else 1
    if anchor in bconv2d.ANCHORS and not isa.broadcasts_from_memory:
        pixels, vectors = neon_tile(shape[-2], per_group // lanes, steps, lanes, isa)
        tile = Tile(pixels, vectors, lanes, groups_of(shape[-1] // lanes, vectors, lanes, span))
    elif shape[-2] == 1 and anchor not in bconv2d.ANCHORS and conv2d.UNPACK not in blocks:
        tile = choose_single_tile(shape[-1], lanes, isa, span)
    else:
        tile = choose_tile(shape[-2], shape[-1], steps, lanes, isa, span)
    kernel = _OF_ANCHOR[anchor][0 if has_window else -1]
    layer = Anchored(kernel, tile, dot, shape, depth, span, terms, conv2d.UNPACK in blocks, per_group, columns)
    if not (layer.loads_vectors(isa) and layer.is_within_group(tile.vectors)):
        return layer
    loads = depth_of_loads(depth, lanes)
    shared = has_window and int(activations.shape[-2]) == shape[-2] + columns - 1
    at_once = columns_at_once(depth, columns, shared) if loads == depth and layer.unrolls_columns(isa) else 1
    return dataclasses.replace(layer, tile=dataclasses.replace(tile, depth=loads, unroll=at_once))


def _in_pairs(schedule: s_tir.Schedule, blocks: dict[str, s_tir.schedule.SBlockRV], isa: Isa) -> Anchored:
    """Return what there is to know of a layer whose outputs are computed two at a time."""
    total, shared = (schedule.get(blocks[name]) for name in (winograd.ANCHOR, winograd.SHARED))
    *_, transformed, weights = (region.source for region in total.reads)
    count, rows, pairs, outputs, channels = (int(extent) for extent in total.writes[0].source.shape)
    row_bytes = math.prod(int(extent) for extent in transformed.shape[2:]) * _FLOAT_BYTES
    lanes, span = int(weights.shape[-1]), _span(schedule, blocks)
    kernel_h = int(weights.shape[1])
    stride = max(1, (int(transformed.shape[1]) - kernel_h) // max(1, rows - 1))
    read = kernel_h, stride, row_bytes
    tile = choose_pairs((rows, pairs), read, channels, lanes, isa, span)
    depths = [int(sums.iter_vars[-1].dom.extent) for sums in (shared, total)]
    steps = sum(_steps(schedule, blocks[name]) for name in (winograd.SHARED, winograd.ANCHOR))
    shape = (count, rows, pairs, channels)
    depth = math.gcd(*depths)
    return Anchored(WINOGRAD_CONV2D, tile, None, shape, depth, span, steps, False, channels, outputs=outputs)


def schedule_layer(
    schedule: s_tir.Schedule,
    layer: Anchored,
    tile: Tile,
    isa: Isa,
    pixel_factors: Factors = fixed,
    row_factors: Factors = fixed,
) -> None:
    """Schedule a lowered layer in place by a tile; factors as for :func:`schedules.tile.schedule_anchored`."""
    if layer.kernel is WINOGRAD_CONV2D:
        schedule_winograd(schedule, tile, isa, pixel_factors, row_factors)
    else:
        schedule_anchored(schedule, layer.kernel.anchor, tile, layer.dot, pixel_factors, row_factors)


def schedule_function(function: tvm.tirx.PrimFunc, isa: Isa) -> tuple[tvm.tirx.PrimFunc, Choice]:
    """Return a lowered layer scheduled for an instruction set, and what was chosen for it."""
    schedule = s_tir.Schedule(tvm.IRModule({"main": function}))
    layer = anchored(schedule, isa)
    if layer is None:
        blocks = schedule.get_child_blocks(schedule.get_sblock("root"))
        names = {schedule.get(block).name_hint for block in blocks}
        if amx_counts.ANCHOR in names:
            counted = schedule.get(schedule.get_sblock(amx_counts.ANCHOR)).writes[0].source
            kernel = BINARY_CONV2D if len(counted.shape) == _SPATIAL_OF_CONVOLUTION else BINARY_DENSE
            schedule_in_tiles(schedule)
            return schedule.mod["main"], Choice(f"{kernel.name}_amx", amx.NAME, None)
        schedule_loops(schedule, isa.float_lanes)
        return schedule.mod["main"], Choice("loops", isa.name, None)
    schedule_layer(schedule, layer, layer.tile, isa)
    return schedule.mod["main"], Choice(layer.kernel.name, isa.name, layer.tile)


def _steps(schedule: s_tir.Schedule, reduction: s_tir.schedule.SBlockRV) -> int:
    """Return how many terms each accumulator sums."""
    axes = schedule.get(reduction).iter_vars
    return math.prod(int(axis.dom.extent) for axis in axes if axis.iter_type == tvm.tirx.IterVar.CommReduce)


def _span(schedule: s_tir.Schedule, blocks: dict[str, s_tir.schedule.SBlockRV]) -> int | None:
    """Return how many channels each word of the layer's packed result holds, if it packs in vectors."""
    for name, block in blocks.items():
        if name.startswith(PACK_WORDS):
            packing = schedule.get(block)
            return int(packing.reads[0].source.shape[-1]) // int(packing.writes[0].source.shape[-1])
    return None
