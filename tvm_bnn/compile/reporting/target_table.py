"""The targets there are, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from tvm_bnn.command_line.console import stdout

if TYPE_CHECKING:
    from schedules.machines.target import Target


def print_targets(targets: Sequence[Target]) -> None:
    """Print a row for every target."""
    table = Table(box=None, pad_edge=False)
    for heading in ("target", "machine", "kernels", "what it is"):
        table.add_column(heading, no_wrap=True)
    for target in targets:
        table.add_row(target.name, target.machine, target.isa.name, target.description)
    stdout().print(table)
