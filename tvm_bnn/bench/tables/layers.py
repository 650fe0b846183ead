"""Single layers as a table: how near the limit, and how many times faster than others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console

from tvm_bnn.bench.records import OURS, Record
from tvm_bnn.bench.tables.columns import (
    MISSING,
    cases,
    new_table,
    peak_of,
    peers_of,
    print_notes,
    rate_cell,
    ratio_cell,
    share_cell,
    time_cell,
)


def print_layers(records: Sequence[Record], console: Console) -> None:
    """Print a row for each layer: our time, rate and share of the peak, then each peer's time in multiples of ours."""
    peers = peers_of(records)
    table = new_table(("layer", "kernel, tile", "schedule"), ("time", "rate", "of peak", *peers))
    for systems in cases(records):
        ours = systems[OURS]
        peak = peak_of(systems, "binary") or peak_of(systems, "float32")
        table.add_row(
            ours.case,
            _tile(ours),
            str(ours.facts.get("schedule", MISSING)),
            time_cell(ours),
            rate_cell(ours),
            share_cell(ours, peak),
            *(ratio_cell(ours.samples, systems.get(peer)) for peer in peers),
        )
    console.print(table)
    print_notes(records, console)


def _tile(record: Record) -> str:
    """Return ``bconv2d 8x2``: the instruction set is the same in all rows."""
    kernels = str(record.facts.get("kernel", "")).split(" + ")
    return " + ".join(re.sub(r"/\S+", "", kernel) for kernel in kernels)
