"""Estimates of single layers as a table: instructions against the ideal loop, and modelled cycles; no times."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console

from tvm_bnn.bench.limits.cycle_model import CORES
from tvm_bnn.bench.records import Record
from tvm_bnn.bench.tables.columns import MISSING, new_table


def print_estimates(records: Sequence[Record], console: Console) -> None:
    """Print a row for each layer: executed instructions, their ratio to the ideal loop, MAC/cycle of each model."""
    estimates = [record for record in records if record.kind == "estimate"]
    parts = {(record.case, record.part): record for record in estimates}
    headings = ("instructions", "instr./MAC", "MAC/instr.", "executed/ ideal", *(core.name for core in CORES))
    table = new_table(("layer", "kernel, tile", "schedule"), headings)
    for record in (record for record in estimates if not record.part):
        executed, ideal = float(record.facts["instructions"]), float(record.facts["ideal"])
        table.add_row(
            record.case,
            re.sub(r"/\S+", "", str(record.facts["kernel"])),
            str(record.facts.get("schedule", MISSING)),
            f"{executed:.0f}",
            f"{executed / record.work:.4f}",
            f"{record.work / executed:.1f}",
            f"{executed / ideal:.3f}",
            *(_cycles_cell(parts.get((record.case, core.name))) for core in CORES),
        )
    whole = next(record for record in estimates if not record.part)
    console.print(
        f"[bold]estimates for {whole.facts['target']}, not times:[/] instructions counted in qemu-aarch64"
        f" {whole.facts['qemu']} -cpu {whole.facts['cpu']}; cores: binary MAC/cycle of the innermost loop in LLVM's"
        " models, caches never missed, and its share of what eor, cnt and uadalp alone would reach",
        soft_wrap=True,
    )
    console.print(table)
    for reason in dict.fromkeys(record.skipped for record in estimates if record.skipped):
        console.print(f"skipped cycle models: {reason}", markup=False, soft_wrap=True)


def _cycles_cell(record: Record | None) -> str:
    if record is None or record.skipped:
        return MISSING if record is None else "no llvm-mca"
    return f"{float(record.facts['macs_per_cycle']):.1f} ({float(record.facts['share_of_limit']):.0%})"
