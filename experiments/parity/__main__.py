"""``python -m experiments.parity``: compile architectures with binarizers, compare with PyTorch, print the table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from experiments.parity.records import append, read
from experiments.parity.table import markdown
from schedules.errors import UserError
from tvm_bnn.command_line.console import complain
from tvm_bnn.command_line.packages import require

if TYPE_CHECKING:  # both import PyTorch
    from experiments.architectures.architecture import Architecture
    from experiments.binarizers.parts.binarizer import Binarizer


def main(
    architecture: str = "all",
    binarizer: str = "paper",
    size: Literal["small", "full"] = "small",
    record: Path = Path("parity.jsonl"),
    target: str = "native",
) -> int:
    """Run the product of architectures and binarizers; cells that the record holds are not run again.

    Parameters
    ----------
    architecture
        Names with commas between them, or ``all``.
    binarizer
        Names with commas between them, ``paper`` for BiBench's eight, or ``all``.
    size
        The small size of each architecture, which compiles in seconds, or the one of its paper.
    record
        Where cells are kept, a JSON line each.
    target
        As for ``tvm_bnn.compile``.

    Returns
    -------
    0 if every cell is right, 1 if not, or if a name is unknown.
    """
    try:
        require("experiments.parity", "tvm-bnn[torch]", "torch")
        architectures, binarizers = _chosen(architecture, binarizer)
        _run(architectures, binarizers, size == "small", record, target)
        wanted = {(a.name, b.name, size == "small", target) for a in architectures for b in binarizers}
        cells = [cell for cell in read(record) if cell.key in wanted]
    except UserError as error:
        complain(str(error))
        return 1
    print(markdown(cells))
    return 0 if all(cell.is_right for cell in {cell.key: cell for cell in cells}.values()) else 1


def _chosen(architecture: str, binarizer: str) -> tuple[list[Architecture], list[Binarizer]]:
    from experiments.architectures.catalog import ARCHITECTURES, find_architecture
    from experiments.binarizers.catalog import BINARIZERS, PAPER, find_binarizer

    every = {"all": [method.name for method in BINARIZERS], "paper": list(PAPER)}
    architectures = (
        list(ARCHITECTURES) if architecture == "all" else [find_architecture(name) for name in architecture.split(",")]
    )
    return architectures, [find_binarizer(name) for name in every.get(binarizer, binarizer.split(","))]


def _run(
    architectures: list[Architecture], binarizers: list[Binarizer], small: bool, record: Path, target: str
) -> None:
    from experiments.parity.cell import run_cell

    done = {cell.key for cell in read(record)}
    todo = [
        (one, other)
        for one in architectures
        for other in binarizers
        if (one.name, other.name, small, target) not in done
    ]
    for number, (one, other) in enumerate(todo, 1):
        print(f"{number}/{len(todo)} {one.name} x {other.name}", file=sys.stderr, flush=True)
        append(record, run_cell(one, other, small=small, target=target))


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
