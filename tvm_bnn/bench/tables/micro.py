"""The limits of the machine as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from tvm_bnn.bench.records import Record
from tvm_bnn.bench.tables.columns import new_table, print_notes, rate_cell, time_cell


def print_micro(records: Sequence[Record], console: Console) -> None:
    """Print what each loop reaches."""
    table = new_table(("what", "loop"), ("rate", "time a call"))
    for record in records:
        table.add_row(record.case, record.system, rate_cell(record), time_cell(record))
    console.print(table)
    print_notes(records, console)
