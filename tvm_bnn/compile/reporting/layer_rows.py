"""A report's rows: what the analysis said of each layer, joined with the kernel that it became."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import msgspec

from relay_passes.analysis.layers import Layer
from relay_passes.analysis.part_names import TERM, layers_behind, whole
from schedules.kernels.table import BF16_CONV2D, BF16_DENSE, INT8_CONV2D, INT8_DENSE
from tvm_bnn.artifacts.artifact import KernelUse
from tvm_bnn.compile.reporting.compilation_report import LayerRow

FLOAT_BYTES = 4


def layer_rows(
    layers: Sequence[Layer], kernels: Sequence[KernelUse], constant_bytes: dict[str, int]
) -> tuple[LayerRow, ...]:
    """Join what the analysis said of each layer with the kernel that it became.

    Parameters
    ----------
    layers
        Of the simplified float graph.
    kernels
        Of the scheduled module.
    constant_bytes
        Of each kernel call's constants, by the layer's name.

    Raises
    ------
    RuntimeError
        If a layer that the analysis calls binary did not get a binary kernel: its row would be a wrong measurement.
    """
    uses = {layer: use for use in kernels for layer in layers_behind(use.layer)}
    choices = {layer: use.choice for layer, use in uses.items()}
    origins = {layer: use.schedule for layer, use in uses.items()}
    rows = tuple(
        LayerRow(
            name=layer.name,
            kind=layer.kind,
            weight_shape=layer.weight_shape,
            bit_planes=layer.bit_planes,
            binary=layer.is_binary,
            stores_bits=layer.stores_bits,
            reason=layer.float_reason or "",
            kernel=choices.get(layer.name, ""),
            schedule=origins.get(layer.name, "default"),
            precision="bits" if layer.bit_planes != (0, 0) else precision_of(choices.get(layer.name, "")),
            macs=layer.macs,
            bytes_before=math.prod(layer.weight_shape) * FLOAT_BYTES if layer.weight_shape else 0,
            bytes_after=constant_bytes.get(layer.name, 0),
        )
        for layer in layers
    )
    for row in rows:
        if row.runs_on_bits and not row.kernel.startswith("b"):
            raise RuntimeError(
                f"layer '{row.name}' counts as running on bits, but runs in {row.kernel or 'no kernel of its own'}"
            )
    return tuple(_merged(list(phases)) for _, phases in itertools.groupby(rows, lambda row: whole(row.name)))


def precision_of(choice: str) -> str:
    """Return what the float layer of a kernel computes in."""
    name = choice.split("/", maxsplit=1)[0]
    if name in {INT8_CONV2D.name, INT8_DENSE.name}:
        return "int8"
    return "bf16" if name in {BF16_CONV2D.name, BF16_DENSE.name} else "fp32"


def _merged(phases: list[LayerRow]) -> LayerRow:
    """Put the parts of a transposed or 3-D convolution, or of a layer of a sum, back into the one layer they are."""
    first = phases[0]
    if len(phases) == 1:
        return first
    if TERM in first.name:
        return msgspec.structs.replace(
            first,
            name=whole(first.name),
            bit_planes=(sum(term.bit_planes[0] for term in phases), first.bit_planes[1]),
            binary=False,
            bytes_after=sum(term.bytes_after for term in phases),
        )
    return msgspec.structs.replace(
        first,
        name=whole(first.name),
        kind=f"conv2d x {len(phases)}",
        macs=sum(phase.macs for phase in phases),
        bytes_before=sum(phase.bytes_before for phase in phases),
        bytes_after=sum(phase.bytes_after for phase in phases),
    )
