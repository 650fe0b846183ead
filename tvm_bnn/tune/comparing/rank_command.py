"""``python -m tvm_bnn.tune rank``: how well estimates rank schedules, where the truth can be measured."""

from __future__ import annotations

import dataclasses
import os
from typing import Literal

import tyro
from rich.table import Table

from schedules.errors import UserError
from tvm_bnn.command_line.console import complain, stage, stdout

_COUNTS: tuple[Literal["cycles", "instructions"], ...] = ("cycles", "instructions")


@dataclasses.dataclass(frozen=True)
class Options:
    """Measure random schedules of layers on this machine, estimate the same ones, and correlate the two."""

    target: str = "native"
    """What to compile for; must run here."""
    model: str = ""
    """What llvm-mca calls the processor; by default this one, as far as LLVM recognises it."""
    only: str = "3x3 "
    """Layers of 'tvm_bnn.bench layers' whose names contain this."""
    layers: int = 4
    """So many of them, at most."""
    schedules: int = 32
    """Of each layer."""
    linker: Literal["zig", "system"] = "zig"
    """Who links the candidates: Zig from PyPI, or the system's compiler."""


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, args=arguments, prog="tvm_bnn.tune rank")
    os.environ["TVM_NUM_THREADS"] = "1"
    try:
        _rank(options)
    except UserError as error:
        complain(str(error))
        return 1
    return 0


def _rank(options: Options) -> None:
    from schedules.machines.target import find_target
    from tvm_bnn.tune.comparing.ranking import rank
    from tvm_bnn.tune.subjects import benchmark_layers

    target = find_target(options.target)
    if not target.runs_here:
        raise UserError(f"target '{options.target}': estimates are held against times, which have to be taken here")
    layers = benchmark_layers(options.only, target)[: options.layers]
    if not layers:
        raise UserError(f"--only '{options.only}': no layer of the benchmark has that in its name")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", no_wrap=True)
    for heading in ("schedules", *(f"{what} of {counts}" for counts in _COUNTS for what in ("ρ", "loss"))):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, task in layers:
        with stage(f"measuring and estimating {name}"):
            found = rank(task, target, options.model, options.schedules, options.linker)
        cells = [text for counts in _COUNTS for text in (f"{found[counts].rho:.2f}", f"{found[counts].regret:.0%}")]
        table.add_row(name, str(found["cycles"].schedules), *cells)
    stdout().print(table)
    stdout().print(
        "\nρ: Spearman's, of times and estimates; loss: by how much the schedule with the best estimate is slower than"
        f" the fastest; cycles by llvm-mca's model of {found['cycles'].model}"
    )
