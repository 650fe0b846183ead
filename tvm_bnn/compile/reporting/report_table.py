"""A compilation's report as people read it: its layers, then its totals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from tvm_bnn.command_line.console import stdout
from tvm_bnn.command_line.texts import bytes_text, count_text, time_text
from tvm_bnn.compile.reporting.parity_texts import exact_text, inexact_text, not_finite_text, trouble_text

if TYPE_CHECKING:  # what reports are made of imports TVM; printing them does not need to
    from tvm_bnn.compile.reporting.compilation_report import LayerRow, Report
    from tvm_bnn.verifying.parity import Parity


def print_report(report: Report) -> None:
    """Print a compilation's report: its layers, then its totals."""
    console = stdout()
    console.print(_layer_table(report.layers))
    console.print()
    totals = Table(box=None, show_header=False, pad_edge=False)
    totals.add_column(no_wrap=True)
    totals.add_column(overflow="fold")
    notes = [("note", escape(note)) for note in report.notes]
    for row in (*_size_rows(report), *notes, *_parity_rows(report), *_latency_rows(report), *_deployed_rows(report)):
        totals.add_row(*row)
    console.print(totals)


def _layer_table(layers: Sequence[LayerRow]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("layer", "kind", "weight", "runs in", "kernel, tile", "schedule"):
        table.add_column(heading, no_wrap=True)
    for heading in ("MACs", "before", "after"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("why float", overflow="fold")
    for layer in layers:
        table.add_row(
            layer.name,
            layer.kind,
            "x".join(map(str, layer.weight_shape)) or "-",
            _runs_in(layer),
            layer.kernel or "-",
            layer.schedule,
            count_text(layer.macs),
            bytes_text(layer.bytes_before),
            bytes_text(layer.bytes_after),
            layer.reason,
        )
    return table


def _runs_in(layer: LayerRow) -> str:
    if layer.precision in {"int8", "bf16"}:
        return f"[yellow]{layer.precision}[/]"
    if not layer.runs_on_bits:
        return "[yellow]float[/]" + (", weight bits" if layer.stores_bits else "")
    inputs, weights = layer.bit_planes
    return "[green]bits[/]" + (f" {inputs}x{weights}" if (inputs, weights) != (1, 1) else "")


def _size_rows(report: Report) -> list[tuple[str, str]]:
    on_bits = sum(layer.runs_on_bits for layer in report.layers)
    share = report.binary_macs / report.macs if report.macs else 0.0
    constants = sum(layer.bytes_after for layer in report.layers)
    weights = sum(layer.bytes_before for layer in report.layers)
    return [
        ("model", f"{report.model} for {report.target} ({report.machine}, {report.isa})"),
        ("on bits", f"{on_bits} of {len(report.layers)} layers, {share:.1%} of {count_text(report.macs)}MACs"),
        ("weights", f"{bytes_text(weights)} float → {bytes_text(constants)} with all constants of the kernels"),
        (
            "size",
            f"{bytes_text(report.float_bytes)} float model → {bytes_text(report.artifact_bytes)} artifact, code and "
            f"manifest included: {report.artifact}",
        ),
    ]


def _parity_rows(report: Report) -> list[tuple[str, str]]:
    parity = report.parity
    if parity is None:
        return [("parity", f"[yellow]not checked[/]: {report.not_verified}")]
    rows = [("parity", exact_text(parity) if parity.exact else inexact_text(parity, report.float_layers))]
    if report.unverified:
        rows.insert(0, ("NOT VERIFIED", f"[red]accepted all the same[/]: {escape(report.unverified)}"))
    if report.trouble is not None:
        rows.append(("trouble", trouble_text(report.trouble)))
        note = not_finite_text(report.trouble)
        rows += [("note", note)] if note else []
    if report.accuracy is not None:
        rows.append(("accuracy", _accuracy_text(report, report.accuracy, parity)))
    if parity.signs:
        rows.append(
            (
                "sign(0)",
                f"{parity.zero_signs} of {parity.signs} activations' signs were of an exact zero; "
                + _SIGN_OF_ZERO[report.sign_zero],
            )
        )
    return rows


def _accuracy_text(report: Report, accuracy: float, parity: Parity) -> str:
    text = f"{accuracy:.2%} of the {parity.samples} samples, by the compiled model"
    if parity.exact or report.reference_accuracy is None:
        return text
    return f"{text}; {report.reference_accuracy:.2%} by {parity.framework}"


_SIGN_OF_ZERO = {
    "exact": "0 where the model makes zeros (a second bit plane), +1 where none are to be expected",
    "plus": "taken for +1, by PyTorch as well",
    "minus": "taken for -1, by PyTorch as well",
}


def _latency_rows(report: Report) -> list[tuple[str, str]]:
    latency = report.latency
    if latency is None:
        return [("latency", f"[yellow]not measured[/]: {report.not_measured}")]
    return [
        (
            "latency",
            f"{time_text(latency.compiled)} against {latency.framework} float {time_text(latency.reference)}: "
            f"{latency.speedup:.3g}x; batch {latency.batch}, {latency.threads} thread, {latency.cpu}",
        )
    ]


def _deployed_rows(report: Report) -> list[tuple[str, str]]:
    deployed = report.deployed
    if deployed is None:
        return []
    return [
        (
            "deployed",
            f"{bytes_text(deployed.model_bytes)} {deployed.model} + {bytes_text(deployed.runtime_bytes)} libbnn.so = "
            f"{bytes_text(deployed.total_bytes)} in {escape(deployed.folder)}, {bytes_text(deployed.memory_bytes)} of "
            f"memory for tensors; {deployed.checked}",
        )
    ]
