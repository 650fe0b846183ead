"""What the layers that stay float compute in, and how a target packs a model for that."""

from __future__ import annotations

from typing import Literal, TypeAlias

from relay_passes import pipeline
from schedules.errors import UserError
from schedules.machines.amx import has_tiles
from schedules.machines.dot import Dot, bf16_dot_of, dot_of
from schedules.machines.target import Target

FloatLayers: TypeAlias = Literal["fp32", "bf16", "int8"]


def packing(target: Target, float_layers: FloatLayers = "fp32") -> list[pipeline.Pass]:
    """Return the passes from canonical to packed IR for a target.

    Raises
    ------
    UserError
        If the target cannot multiply what float layers are to compute in.
    """
    return pipeline.pack(target.isa, dot_for(float_layers, target), has_tiles(target.tvm, target.isa))


def dot_for(float_layers: FloatLayers, target: Target) -> Dot | None:
    """Return the instruction by which float layers run on narrower numbers, None if they stay in fp32.

    Raises
    ------
    UserError
        As :func:`packing` does.
    """
    if float_layers == "fp32":
        return None
    if float_layers == "int8":
        return dot_of(target.tvm, target.isa)
    if float_layers != "bf16":
        raise UserError(f"float layers in '{float_layers}': fp32 (exact), bf16 and int8 are known")
    dot = bf16_dot_of(target.tvm, target.isa)
    if dot is None:
        raise UserError(
            f"float layers in 'bf16': target '{target.name}' has no instruction that multiplies it (AVX-512 BF16 or "
            "ARM's bf16 has); int8 runs everywhere"
        )
    return dot


def narrowing_notes(float_layers: FloatLayers, target: Target) -> tuple[str, ...]:
    """Return what the report has to add on the choice of float layers on bytes."""
    dot = dot_for(float_layers, target)
    if dot is None or dot.mnemonic:
        return ()
    return (
        f"{target.name} has no instruction that sums products of bytes: int8 makes float layers smaller, not faster",
    )
