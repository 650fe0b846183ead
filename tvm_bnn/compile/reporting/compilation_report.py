"""What a compilation found, chose and measured; stored as JSON beside the artifact."""

from __future__ import annotations

import msgspec

from rpc.measuring.measurement import Samples
from tvm_bnn.artifacts.artifact import KernelUse
from tvm_bnn.deployment.sizes import Deployed
from tvm_bnn.verifying.latency import Latency
from tvm_bnn.verifying.parity import Parity
from tvm_bnn.verifying.trouble_report import Trouble


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
        What its products are of: ``bits``, ``int8``, ``bf16`` or ``fp32``.
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


class KernelTime(msgspec.Struct, frozen=True):
    """One kernel call of the compiled model, timed while it ran.

    Parameters
    ----------
    use
        Whose it is.
    samples
        Its times, watching included, which costs about a microsecond.
    macs, bound
        Its multiply-accumulates, and by which of the machine's peaks they are bound, ``binary`` or ``float32``; 0 and
        empty where it multiplies nothing.
    touched_bytes
        Of its operands and results.
    """

    use: KernelUse
    samples: Samples
    macs: float
    bound: str
    touched_bytes: int


class Report(msgspec.Struct, frozen=True):
    """Everything worth knowing about one compilation.

    ``parity`` and ``latency`` are None if they were not taken; ``not_verified`` and ``not_measured`` say why.
    ``notes`` say what was done to the model before anything else. ``deployed`` is the folder for programs without
    Python, if one was asked for, and ``kernel_times`` the calls of
    the model one by one. ``float_layers`` is the precision that was asked for,
    a row's ``precision`` the one that the layer runs in. ``trouble`` is what came of samples that look for it, and
    ``unverified`` what is wrong with the model's answers, where the user accepts that.
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
    deployed: Deployed | None = None
    kernel_times: tuple[KernelTime, ...] = ()
    trouble: Trouble | None = None
    unverified: str = ""

    @property
    def binary_macs(self) -> int:
        """Multiply-accumulates that run on bits."""
        return sum(layer.macs for layer in self.layers if layer.runs_on_bits)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)
