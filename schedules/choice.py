"""Which schedule a lowered function gets without a tuning log, and what that is called."""

from __future__ import annotations

import dataclasses

import tvm
from tvm import s_tir

from schedules.amx import counts as amx_counts
from schedules.amx import tiles as amx
from schedules.amx.schedule import schedule_in_tiles
from schedules.kernels.table import BINARY_CONV2D, BINARY_DENSE, SPATIAL_OF_CONVOLUTION, WINOGRAD_CONV2D
from schedules.machines.isa import Isa
from schedules.templates.anchored import Anchored, anchored
from schedules.templates.layer import Factors, fixed, schedule_anchored
from schedules.templates.loops import schedule_loops
from schedules.templates.pooled import schedule_pooled
from schedules.templates.tile import Tile
from schedules.templates.winograd import schedule_winograd


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


def schedule_layer(
    schedule: s_tir.Schedule,
    layer: Anchored,
    tile: Tile,
    isa: Isa,
    pixel_factors: Factors = fixed,
    row_factors: Factors = fixed,
) -> None:
    """Schedule a lowered layer by a tile, in place; factors of :func:`schedules.templates.layer.schedule_anchored`."""
    if layer.kernel is WINOGRAD_CONV2D:
        schedule_winograd(schedule, tile, isa, pixel_factors, row_factors)
    else:
        by_tiles = schedule_pooled if layer.is_pooled else schedule_anchored
        by_tiles(schedule, layer.kernel.anchor, tile, layer.dot, pixel_factors, row_factors)


def schedule_function(function: tvm.tirx.PrimFunc, isa: Isa) -> tuple[tvm.tirx.PrimFunc, Choice]:
    """Return a lowered layer scheduled for an instruction set, and what was chosen for it."""
    schedule = s_tir.Schedule(tvm.IRModule({"main": function}))
    layer = anchored(schedule, isa)
    if layer is None:
        blocks = schedule.get_child_blocks(schedule.get_sblock("root"))
        names = {schedule.get(block).name_hint for block in blocks}
        if amx_counts.ANCHOR in names:
            counted = schedule.get(schedule.get_sblock(amx_counts.ANCHOR)).writes[0].source
            kernel = BINARY_CONV2D if len(counted.shape) == SPATIAL_OF_CONVOLUTION else BINARY_DENSE
            schedule_in_tiles(schedule)
            return schedule.mod["main"], Choice(f"{kernel.name}_amx", amx.NAME, None)
        schedule_loops(schedule, isa.float_lanes)
        return schedule.mod["main"], Choice("loops", isa.name, None)
    schedule_layer(schedule, layer, layer.tile, isa)
    return schedule.mod["main"], Choice(layer.kernel.name, isa.name, layer.tile)
