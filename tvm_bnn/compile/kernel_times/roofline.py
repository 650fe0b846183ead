"""What the arithmetic of a network would take at the machine's peaks, and which peak bounds which kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from relay_passes.analysis.part_names import layers_behind
from tvm_bnn.compile.reporting.compilation_report import KernelTime, LayerRow

if TYPE_CHECKING:  # which imports TVM
    from tvm_bnn.compile.kernel_times.waterfall import Step

BINARY, FLOAT, INT8, BFLOAT16 = QUANTITIES = ("binary", "float32", "int8", "bfloat16")
#: What bounds a layer, by the precision that it computes in.
OF_PRECISION = {"bits": BINARY, "fp32": FLOAT, "int8": INT8, "bf16": BFLOAT16}
#: Kernels that do a layer's products; what else a layer left behind (sums, packing) counts none.
_PRODUCTS = frozenset(
    {
        *("bconv2d", "bconv2d_amx", "bdense", "bdense_amx", "bmatmul"),
        *("conv2d", "conv2d_winograd", "dense", "conv2d_int8", "dense_int8", "conv2d_bf16", "dense_bf16"),
    }
)


def kernel_rows(steps: Sequence[Step], layers: Sequence[LayerRow]) -> list[dict[str, Any]]:
    """Return the fields of a record for each kernel call: its part, samples, work and facts.

    Parameters
    ----------
    steps
        Of the network, in order.
    layers
        Of its report; a layer that became several kernels shares its multiply-accumulates out among them.
    """
    macs = {layer.name: layer.macs for layer in layers}
    kinds = {layer.name: BINARY if layer.runs_on_bits else OF_PRECISION[layer.precision] for layer in layers}
    shares = Counter(step.use.layer for step in steps if _multiplies(step))
    rows = []
    for number, step in enumerate(steps, 1):
        layer = step.use.layer
        behind = [name for name in layers_behind(layer) if name in macs]
        # A grouped float convolution has no tiled kernel: its products run in loops, and count all the same.
        in_loops = behind and not shares[layer]
        products = sum(macs[name] for name in behind)
        work = products / max(shares[layer], 1) if _multiplies(step) or in_loops else 0.0
        facts: dict[str, str | int] = {"order": number, "kernel": step.use.choice, "function": step.use.function}
        facts["schedule"] = step.use.schedule
        if step.touched_bytes:
            facts["bytes"] = step.touched_bytes
        if work:
            facts["bound"] = kinds[behind[0]]
        part = f"{number}: {layer or step.use.function}"
        rows.append({"part": part, "samples": step.samples, "work": work, "facts": facts})
    return rows


def kernel_times(steps: Sequence[Step], layers: Sequence[LayerRow]) -> tuple[KernelTime, ...]:
    """Return what a report says of each kernel call."""
    rows = kernel_rows(steps, layers)
    return tuple(
        KernelTime(
            use=step.use,
            samples=step.samples,
            macs=row["work"],
            bound=str(row["facts"].get("bound", "")),
            touched_bytes=step.touched_bytes,
        )
        for step, row in zip(steps, rows, strict=True)
    )


def limit_ns(facts: Mapping[str, Any], rates: Mapping[str, float]) -> float | None:
    """Return how long a network's products take at the peaks, or None if a peak is not known.

    Parameters
    ----------
    facts
        Of a network's record: ``binary_macs``, ``float_macs`` and, unless it is fp32, ``float_layers``.
    rates
        Peaks in GMAC/s, by quantity.
    """
    rest = OF_PRECISION[facts.get("float_layers", "fp32")]
    if not rates.keys() >= {BINARY, rest}:
        return None
    return float(facts["binary_macs"] / rates[BINARY] + facts["float_macs"] / rates[rest])


def _multiplies(step: Step) -> bool:
    return step.use.choice.split("/")[0] in _PRODUCTS
