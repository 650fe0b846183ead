"""What the template has to know of a lowered layer, read off its blocks: kernel, shapes, and the default tile."""

from __future__ import annotations

import dataclasses
import math

import tvm
from tvm import s_tir

from schedules.kernels.binary import bconv2d
from schedules.kernels.binary.bitpack import PACK_WORDS
from schedules.kernels.floats import conv2d, winograd
from schedules.kernels.table import (
    ANCHORS,
    NARROW,
    SPATIAL_OF_CONVOLUTION,
    WINOGRAD_CONV2D,
    WITHOUT_LOADS,
    Kernel,
    kernel_of,
)
from schedules.machines.dot import Dot, dot_between
from schedules.machines.isa import Isa
from schedules.templates import pooled
from schedules.templates.neon_tile import columns_at_once, neon_tile
from schedules.templates.tile import Tile, choose_single_tile, choose_tile, depth_of_loads, groups_of
from schedules.templates.winograd import choose_pairs

_FLOAT_BYTES = 4


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
        As for :func:`schedules.templates.layer.schedule_anchored`.
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
        Neighbouring outputs that a pixel of the tile stands for: two where they share products, or are pooled.
    is_pooled
        Whether windows of the result are averaged in the kernel; ``shape`` is that of the means then.
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
    is_pooled: bool = False

    def loads_vectors(self, isa: Isa) -> bool:
        """Tell whether the input is loaded as vectors along the depth, not broadcast from memory."""
        return self.kernel.anchor not in WITHOUT_LOADS and not isa.broadcasts_from_memory

    def unrolls_columns(self, isa: Isa) -> bool:
        """Tell whether the columns of the window can be unrolled where the depth is a few words."""
        return self.kernel.anchor == bconv2d.ANCHOR and self.loads_vectors(isa) and self.columns > 1

    def is_within_group(self, vectors: int) -> bool:
        """Tell whether no tile of so many vectors reaches into the next group, whose inputs are in another place."""
        return self.per_group == self.shape[-1] or self.per_group % (vectors * self.tile.lanes) == 0


def anchored(schedule: s_tir.Schedule, isa: Isa) -> Anchored | None:
    """Return what there is to know of a lowered layer with an anchor; None if it has none."""
    blocks = {schedule.get(block).name_hint: block for block in schedule.get_child_blocks(schedule.get_sblock("root"))}
    anchor = next((name for name in ANCHORS if name in blocks), None)
    if anchor is None:
        return None
    if anchor == winograd.ANCHOR:
        return _in_pairs(schedule, blocks, isa)
    reduction = schedule.get(blocks[anchor])
    shape = tuple(int(extent) for extent in reduction.writes[0].source.shape)
    activations, weights = (region.source for region in reduction.reads)
    has_window = len(shape) == SPATIAL_OF_CONVOLUTION and anchor != bconv2d.PRODUCT
    columns = int(reduction.iter_vars[-2].dom.extent) if has_window else 1
    depth, dot = int(reduction.iter_vars[-1].dom.extent), None
    terms, lanes = _steps(schedule, blocks[anchor]), int(weights.shape[-1])
    steps, per_group = terms, shape[-1]
    if anchor in NARROW:
        lanes, group = int(weights.shape[-2]), int(weights.shape[-1])
        steps //= group
        dot = dot_between(str(activations.dtype), lanes) if group > 1 else None
    elif anchor in bconv2d.ANCHORS:
        per_group = shape[-1] * depth // int(activations.shape[-1])
    unpacks, span = conv2d.UNPACK in blocks, _span(schedule, blocks)
    is_pooled = pooled.SUM in blocks
    outputs = pooled.SIZE if is_pooled else 1
    size = shape[-2]
    if is_pooled:
        shape = (shape[0], *(extent // pooled.SIZE for extent in shape[1:3]), shape[3])
    if anchor in bconv2d.ANCHORS and not isa.broadcasts_from_memory:
        pixels, vectors = neon_tile(shape[-2], per_group // lanes, steps, lanes, isa, outputs)
        tile = Tile(pixels, vectors, lanes, groups_of(shape[-1] // lanes, vectors, lanes, span))
    elif size == 1 and anchor not in bconv2d.ANCHORS and not unpacks:
        tile = choose_single_tile(shape[-1], lanes, isa, span)
    else:
        tile = choose_tile(shape[-2], shape[-1], steps, lanes, isa, span, outputs)
    kernel = kernel_of(anchor, has_window)
    layer = Anchored(kernel, tile, dot, shape, depth, span, terms, unpacks, per_group, columns, outputs, is_pooled)
    overlap = has_window and int(activations.shape[-2]) == size + columns - 1
    return dataclasses.replace(layer, tile=_with_loads(layer, isa, overlap))


def _with_loads(layer: Anchored, isa: Isa, overlap: bool) -> Tile:
    """Return a layer's tile with as many steps at once as one load of the input serves; windows may overlap."""
    tile = layer.tile
    if not (layer.loads_vectors(isa) and layer.is_within_group(tile.vectors)):
        return tile
    loads, at_once = depth_of_loads(layer.depth, tile.lanes), 1
    if loads == layer.depth and layer.unrolls_columns(isa):
        at_once = columns_at_once(layer.depth, layer.columns, overlap)
    return dataclasses.replace(tile, depth=loads, unroll=at_once)


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
