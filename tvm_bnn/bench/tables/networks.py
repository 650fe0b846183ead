"""Networks as tables: speed, size, and where the time of each goes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from tvm_bnn.bench.records import OURS, Record
from tvm_bnn.bench.tables.columns import (
    MISSING,
    cases,
    new_table,
    peak_of,
    peak_rates,
    peers_of,
    print_notes,
    rate_cell,
    ratio_cell,
    share_cell,
    time_cell,
)
from tvm_bnn.command_line.texts import bytes_text, count_text, short_time_text
from tvm_bnn.compile.kernel_times import roofline


def print_networks(records: Sequence[Record], console: Console) -> None:
    """Print the speed and the size of each network, then a waterfall for each."""
    networks = [systems for systems in cases(records) if not systems[OURS].skipped]
    _print_speed(networks, peers_of(records), console)
    console.print()
    _print_sizes(networks, console)
    for systems in networks:
        console.print()
        _print_waterfall(systems, [record for record in records if record.part], console)
    console.print()
    print_notes([record for record in records if not record.part], console)


def _print_speed(networks: Sequence[dict[str, Record]], peers: Sequence[str], console: Console) -> None:
    table = new_table(("network",), ("time", "limit", "of limit", *peers))
    for systems in networks:
        ours = systems[OURS]
        limit = roofline.limit_ns(ours.facts, peak_rates(systems, roofline.QUANTITIES))
        table.add_row(
            ours.case,
            time_cell(ours),
            MISSING if limit is None else short_time_text(limit),
            f"{limit / ours.samples.median_ns:.0%}" if limit is not None and ours.samples is not None else MISSING,
            *(ratio_cell(ours.samples, systems.get(peer)) for peer in peers),
        )
    console.print(table)


def _print_sizes(networks: Sequence[dict[str, Record]], console: Console) -> None:
    headings = ("binary layers", "binary MACs", "float MACs", "parity (float64)", "float model", "artifact")
    table = new_table(("network",), (*headings, "memory, compiled", "memory, PyTorch twin"))
    for systems in networks:
        facts = systems[OURS].facts
        table.add_row(
            systems[OURS].case,
            f"{facts['binary_layers']} of {facts['layers']}",
            count_text(int(facts["binary_macs"])),
            count_text(int(facts["float_macs"])),
            f"{facts['parity']} ({facts['yardstick']})" if facts["yardstick"] else str(facts["parity"]),
            bytes_text(int(facts["float_bytes"])),
            bytes_text(int(facts["artifact_bytes"])),
            _memory(systems[OURS], "compiled"),
            _memory(systems[OURS], "torch"),
        )
    console.print(table)


def _memory(record: Record, kind: str) -> str:
    """Return what the network added to the process, and the process as a whole."""
    network, process = (record.facts.get(f"{kind}_{what}_bytes") for what in ("network", "process"))
    if network is None or process is None:
        return MISSING
    return f"{bytes_text(int(network))} of {bytes_text(int(process))}"


def _print_waterfall(systems: dict[str, Record], parts: Sequence[Record], console: Console) -> None:
    ours = systems[OURS]
    rows = [record for record in parts if record.case == ours.case and record.samples is not None]
    total = sum(record.samples.median_ns for record in rows if record.samples is not None)
    table = new_table((ours.case, "kernel, tile", "schedule"), ("time", "of all", "rate", "of peak"))
    for record in rows:
        share = record.samples.median_ns / total if record.samples is not None else 0.0
        peak = peak_of(systems, str(record.facts["bound"])) if record.work else None
        table.add_row(
            record.part,
            str(record.facts["kernel"]),
            _schedule(record),
            time_cell(record),
            f"{share:.1%}",
            rate_cell(record),
            share_cell(record, peak),
        )
    table.add_row(f"{len(rows)} kernels", "", "", short_time_text(total), "", "", "")
    if ours.samples is not None:
        table.add_row("a whole call", "", "", time_cell(ours), f"{ours.samples.median_ns / total:.1%}", "", "")
    console.print(table)


def _schedule(record: Record) -> str:
    """Return where a kernel's schedule comes from; plain loops have no tile, and nobody tunes them."""
    has_tile = " " in str(record.facts["kernel"])
    return str(record.facts.get("schedule", MISSING)) if has_tile else MISSING
