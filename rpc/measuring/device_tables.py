"""What the lab's commands print: devices, and measurements."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rpc.formats.board_facts import BoardFacts
from rpc.measuring.comparison import Ratio, compare
from rpc.measuring.measurement import Samples
from rpc.measuring.records import DeviceRecord
from rpc.measuring.reference_samples import Agreement
from rpc.tracking.tracker_client import Summary

_WIDTH_WHEN_PIPED = 220
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
EMULATED = "none: emulated"


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDTH_WHEN_PIPED, highlight=False)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def print_devices(found: Summary) -> None:
    """Print a row for each device, and what waits."""
    console = _console()
    if not found.devices:
        console.print("no devices; 'python -m rpc serve' or 'emulate' offers one")
        return
    table = _table("key", "address", "state", "device", "machine", "cores", "kernel", "glibc", "runtime", "secret")
    for device in found.devices:
        facts = device.facts
        state = {True: "[green]free[/]", False: "[yellow]busy[/]", None: "-"}[device.free]
        cells = (facts.model, facts.machine, str(facts.cores or ""), facts.kernel, facts.libc, runtime_text(facts))
        asked = "asked for" if facts.asks_secret else "-"
        told = (escape(cell) or "-" for cell in cells)
        table.add_row(escape(device.key), escape(str(device.address)), state, *told, asked)
    console.print(table)
    for key, queue in found.queues.items():
        if queue.pending:
            console.print(f"{queue.pending} waiting for '{escape(key)}'")


def runtime_text(facts: BoardFacts) -> str:
    """Return what runs models on a board."""
    if facts.bnn_format:
        return f"libbnn {facts.bnn_format}"
    return f"TVM {facts.tvm_version}" if facts.tvm_version else ""


def print_records(records: Sequence[DeviceRecord]) -> None:
    """Print a row for each artifact, then layers, comparisons and doubts."""
    console = _console()
    first = records[0]
    where = f"{first.key} at {first.server}: {first.board.model or 'unknown'}"
    console.print(f"{escape(where)}, {first.threads} thread")
    table = _table("artifact", "verified", "latency", "p10 … p90", "peak memory", "energy a call")
    for record in records:
        table.add_row(
            record.artifact, verified_text(record), *times_text(record), memory_text(record), energy_text(record)
        )
    console.print(table)
    for record in records:
        if record.layers:
            console.print(_layers(record))
    for record in records[1:]:
        console.print(_comparison(first, record))
    for doubt in dict.fromkeys(doubt for record in records for doubt in record.doubts):
        console.print(f"[yellow]note[/] {escape(doubt)}")


def print_boards(records: Sequence[DeviceRecord]) -> None:
    """Print a row for each board that ran a model."""
    table = _table("device", "what it is", "artifact", "verified", "latency")
    for record in records:
        latency, _ = times_text(record)
        table.add_row(
            escape(record.key), escape(record.board.model) or "unknown", record.artifact, verified_text(record), latency
        )
    _console().print(table)


def verified_text(record: DeviceRecord) -> str:
    """Return how far the device's answers were the reference's."""
    found = record.agreement
    text = "no: not asked for" if found is None else _agreement_text(found)
    if not record.unverified:
        return text
    return f"NO, accepted all the same: {record.unverified}; the device answers as the artifact does elsewhere: {text}"


def _agreement_text(found: Agreement) -> str:
    text = f"{found.agreeing} of {found.samples} samples, max |Δ| {found.max_difference:.2g}"
    return text if found.same_predictions is None else f"{text}, same prediction for {found.same_predictions:.2%}"


def times_text(record: DeviceRecord) -> tuple[str, str]:
    """Return the median with its spread, and the 10th to the 90th percentile; an emulator's times are not shown."""
    if record.board.emulated:
        return EMULATED, "-"
    if record.samples is None:
        return "not asked for", "-"
    return latency_text(record.samples), f"{time_text(record.samples.p10_ns)} … {time_text(record.samples.p90_ns)}"


def memory_text(record: DeviceRecord) -> str:
    """Return what the model added to the session's process at its peak."""
    return "-" if record.peak_memory_bytes is None else f"{record.peak_memory_bytes / 1e6:.3g} MB"


def energy_text(record: DeviceRecord) -> str:
    """Return what the board's sensor says of a call, if it has one."""
    found = record.energy
    return "no sensor" if found is None else f"{found.millijoules:.3g} mJ at {found.watts:.3g} W"


def _layers(record: DeviceRecord) -> Table:
    table = _table("layer", "kernel", "mean", "share")
    total = sum(layer.ns for layer in record.layers)
    for layer in record.layers:
        time = EMULATED if record.board.emulated else time_text(layer.ns)
        share = "-" if record.board.emulated else f"{layer.ns / total:.1%}"
        table.add_row(layer.layer or "-", layer.kernel, time, share)
    return table


def _comparison(first: DeviceRecord, other: DeviceRecord) -> str:
    if first.board.emulated or first.samples is None or other.samples is None:
        return f"{other.artifact}: not compared with {first.artifact}: there are no times"
    found = compare(first.samples, other.samples)
    if isinstance(found, Ratio):
        return (
            f"{other.artifact} takes {found.median:.3g}x the time of {first.artifact}"
            f" (95 % confidence: {found.low:.3g}x to {found.high:.3g}x)"
        )
    return f"{other.artifact} and {first.artifact}: {found}"


def time_text(ns: float) -> str:
    """Return a time with three significant digits and a unit."""
    factor, unit = next((pair for pair in _UNITS if ns >= pair[0]), _UNITS[-1])
    return f"{ns / factor:.3g} {unit}"


def latency_text(samples: Samples) -> str:
    """Return ``12.4 ms ± 0.1 (median of 50)``; the spread is the median absolute deviation."""
    factor, unit = next((pair for pair in _UNITS if samples.median_ns >= pair[0]), _UNITS[-1])
    spread = f"{samples.mad_ns / factor:.2g}"
    return f"{samples.median_ns / factor:.3g} {unit} ± {spread} (median of {len(samples.samples_ns)})"
