"""What a compilation found, chose and measured; stored as JSON beside the artifact."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import msgspec

from relay_passes.distribute_sums import TERM
from relay_passes.layers import Layer
from relay_passes.split_transposed_conv2d import PHASE
from rpc.measurement import Samples
from schedules.kernel import INT8_CONV2D, INT8_DENSE
from tvm_bnn.artifact import KernelUse
from tvm_bnn.parity import Parity

FLOAT_BYTES = 4


class LayerRow(msgspec.Struct, frozen=True):
    """One convolution or linear layer.

    Parameters
    ----------
    name, kind, weight_shape
        As in the model's file; output channels first, channels last.
    bit_planes
        How many sign tensors its input and its weight (or second operand) are the sums of, as it runs; zeros if it
        runs in float.
    binary
        Whether it runs on bits and both operands are signs, up to scale and offset.
    stores_bits
        Whether it runs in float, but its weights are stored as bits.
    reason
        Why it stayed float; empty if it runs on bits.
    kernel
        Kernel, instruction set and register tile.
    macs
        Multiply-accumulates of one call.
    bytes_before, bytes_after
        Its float32 weights; and all constants of its kernel, which next to the weights are border corrections, scales
        and thresholds.
    precision
        What its products are of: ``bits``, ``int8`` or ``fp32``.
    schedule
        Where its tile comes from: ``default``, ``log`` or ``shipped``, the latter two perhaps only estimated.
    """

    name: str
    kind: str
    weight_shape: tuple[int, ...]
    bit_planes: tuple[int, int]
    binary: bool
    stores_bits: bool
    reason: str
    kernel: str
    macs: int
    bytes_before: int
    bytes_after: int
    precision: str = "fp32"
    schedule: str = "default"

    @property
    def runs_on_bits(self) -> bool:
        """Whether its products are popcounts."""
        return self.bit_planes != (0, 0)


class Stage(msgspec.Struct, frozen=True):
    """How long a step of the compilation took."""

    name: str
    seconds: float


class Latency(msgspec.Struct, frozen=True):
    """One call on this machine, compiled and in float in ``framework``, one thread each, measured in turns."""

    cpu: str
    threads: int
    batch: int
    compiled: Samples
    framework: str
    reference: Samples

    @property
    def speedup(self) -> float:
        """The reference's median time over the compiled model's."""
        return self.reference.median_ns / self.compiled.median_ns


class Report(msgspec.Struct, frozen=True):
    """Everything worth knowing about one compilation.

    ``parity`` and ``latency`` are None if they were not taken; ``not_verified`` and ``not_measured`` say why.
    ``notes`` say what was done to the model before anything else. ``float_layers`` is the precision that was asked for,
    a row's ``precision`` the one that the layer runs in.
    """

    model: str
    artifact: str
    target: str
    isa: str
    machine: str
    layers: tuple[LayerRow, ...]
    kernels: tuple[KernelUse, ...]
    sign_zero: str
    float_bytes: int
    library_bytes: int
    artifact_bytes: int
    parity: Parity | None
    not_verified: str
    accuracy: float | None
    latency: Latency | None
    not_measured: str
    stages: tuple[Stage, ...]
    versions: dict[str, str]
    notes: tuple[str, ...] = ()
    float_layers: str = "fp32"
    reference_accuracy: float | None = None

    @property
    def binary_macs(self) -> int:
        """Multiply-accumulates that run on bits."""
        return sum(layer.macs for layer in self.layers if layer.runs_on_bits)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)


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
    choices = {use.layer: use.choice for use in kernels}
    origins = {use.layer: use.schedule for use in kernels}
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
    return tuple(_merged(list(phases)) for _, phases in itertools.groupby(rows, lambda row: _whole(row.name)))


def precision_of(choice: str) -> str:
    """Return what the float layer of a kernel computes in."""
    return "int8" if choice.split("/", maxsplit=1)[0] in {INT8_CONV2D.name, INT8_DENSE.name} else "fp32"


def _whole(name: str) -> str:
    """Return the name of the layer in the model that a part belongs to."""
    return name.split(PHASE, maxsplit=1)[0].split(TERM, maxsplit=1)[0]


def _merged(phases: list[LayerRow]) -> LayerRow:
    """Put the parts of a transposed or 3-D convolution, or of a layer of a sum, back into the one layer they are."""
    first = phases[0]
    if len(phases) == 1:
        return first
    if TERM in first.name:
        return msgspec.structs.replace(
            first,
            name=_whole(first.name),
            bit_planes=(sum(term.bit_planes[0] for term in phases), first.bit_planes[1]),
            binary=False,
            bytes_after=sum(term.bytes_after for term in phases),
        )
    return msgspec.structs.replace(
        first,
        name=_whole(first.name),
        kind=f"conv2d x {len(phases)}",
        macs=sum(phase.macs for phase in phases),
        bytes_before=sum(phase.bytes_before for phase in phases),
        bytes_after=sum(phase.bytes_after for phase in phases),
    )
