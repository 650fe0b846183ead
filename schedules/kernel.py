"""The kernel table: what each kernel means, what it must equal, and which instruction sets it is scheduled for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import tvm
from tvm import s_tir

from schedules import amx, amx_counts, bconv2d, bf16, conv2d, int8, reference
from schedules.amx_schedule import schedule_in_tiles
from schedules.bitpack import PACK_WORDS
from schedules.dot import Dot, dot_between
from schedules.isa import ISAS, Isa
from schedules.loops import schedule_loops
from schedules.tile import Tile, choose_single_tile, choose_tile, depth_of_loads, schedule_anchored


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
INT8_CONV2D = Kernel("conv2d_int8", int8.ANCHOR, int8.conv2d, reference.conv2d, lambda isa: isa.float_lanes)
INT8_DENSE = Kernel("dense_int8", int8.ANCHOR, int8.dense, reference.dense, lambda isa: isa.float_lanes)
BF16_CONV2D = Kernel("conv2d_bf16", bf16.ANCHOR, bf16.conv2d, reference.conv2d, lambda isa: isa.float_lanes)
BF16_DENSE = Kernel("dense_bf16", bf16.ANCHOR, bf16.dense, reference.dense, lambda isa: isa.float_lanes)

KERNELS = (
    *(BINARY_CONV2D, BINARY_DENSE, BINARY_MATMUL, FLOAT_CONV2D, FLOAT_DENSE),
    *(INT8_CONV2D, INT8_DENSE, BF16_CONV2D, BF16_DENSE),
)
_OF_ANCHOR = {
    bconv2d.ANCHOR: (BINARY_CONV2D, BINARY_DENSE),
    bconv2d.PRODUCT: (BINARY_MATMUL, BINARY_MATMUL),
    conv2d.ANCHOR: (FLOAT_CONV2D, FLOAT_DENSE),
    int8.ANCHOR: (INT8_CONV2D, INT8_DENSE),
    bf16.ANCHOR: (BF16_CONV2D, BF16_DENSE),
}
#: Those whose innermost reduction an instruction does.
_NARROW = (int8.ANCHOR, bf16.ANCHOR)
#: Every row of the table: each kernel on each instruction set. Tests and benchmarks run them all.
VARIANTS = tuple((kernel, isa) for kernel in KERNELS for isa in ISAS)

_SPATIAL_OF_CONVOLUTION = 4


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

    def loads_vectors(self, isa: Isa) -> bool:
        """Tell whether the input is loaded as vectors along the depth, not broadcast from memory."""
        return self.kernel.anchor not in _NARROW and not isa.broadcasts_from_memory

    def is_within_group(self, vectors: int) -> bool:
        """Tell whether no tile of so many vectors reaches into the next group, whose inputs are in another place."""
        return self.per_group == self.shape[-1] or self.per_group % (vectors * self.tile.lanes) == 0


def anchored(schedule: s_tir.Schedule, isa: Isa) -> Anchored | None:
    """Return what there is to know of a lowered layer with an anchor; None if it has none."""
    blocks = {schedule.get(block).name_hint: block for block in schedule.get_child_blocks(schedule.get_sblock("root"))}
    anchor = next((name for name in _OF_ANCHOR if name in blocks), None)
    if anchor is None:
        return None
    reduction = schedule.get(blocks[anchor])
    shape = tuple(int(extent) for extent in reduction.writes[0].source.shape)
    activations, weights = (region.source for region in reduction.reads)
    terms, lanes, dot = _steps(schedule, blocks[anchor]), int(weights.shape[-1]), None
    steps, depth, span = terms, int(reduction.iter_vars[-1].dom.extent), _span(schedule, blocks)
    if anchor in _NARROW:
        lanes, group = int(weights.shape[-2]), int(weights.shape[-1])
        steps //= group
        dot = dot_between(str(activations.dtype), lanes) if group > 1 else None
    if shape[-2] == 1 and anchor not in bconv2d.ANCHORS and conv2d.UNPACK not in blocks:
        tile = choose_single_tile(shape[-1], lanes, isa, span)
    else:
        tile = choose_tile(shape[-2], shape[-1], steps, lanes, isa, span)
    kernel = _OF_ANCHOR[anchor][0 if len(shape) == _SPATIAL_OF_CONVOLUTION else 1]
    per_group = shape[-1] if anchor in _NARROW else shape[-1] * depth // int(activations.shape[-1])
    layer = Anchored(kernel, tile, dot, shape, depth, span, terms, conv2d.UNPACK in blocks, per_group)
    if not (layer.loads_vectors(isa) and layer.is_within_group(tile.vectors)):
        return layer
    return dataclasses.replace(layer, tile=dataclasses.replace(tile, depth=depth_of_loads(depth, lanes)))


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
    schedule_anchored(schedule, layer.kernel.anchor, layer.tile, layer.dot)
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
