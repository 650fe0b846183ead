"""``python -m tvm_bnn.tune compare``: default against tuned schedules, for each layer of a model."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from schedules.errors import UserError
from schedules.files.json_output import print_json
from tvm_bnn.command_line.console import complain, stage, stdout
from tvm_bnn.zoo.digits import DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tvm_bnn.tune.comparing.comparing import Compared


@dataclasses.dataclass(frozen=True)
class Options:
    """Time the schedule that a compilation takes in turns with the default, for each distinct layer of a model."""

    model: Annotated[Path, tyro.conf.Positional] = DIGITS
    """A .pt2 or .onnx file; or bench:layers, the layers of 'tvm_bnn.bench layers', or bench:NAME, one of its
    networks."""
    target: str = "native"
    """What to compile for; must run here."""
    log: Path | None = None
    """Tuning log, whose schedules are taken first; then those of the package."""
    repeats: int = 30
    """Samples of each."""
    threads: int = 1
    """Threads that a kernel may use."""
    only: str = ""
    """Only layers whose names contain this."""
    record: Path | None = None
    """File that every result is appended to, one JSON line each, with all samples and facts about the machine."""
    linker: Literal["zig", "system"] = "zig"
    """Who links the layers: Zig from PyPI, or the system's compiler."""
    format: Literal["table", "json"] = "table"
    """How to print the results."""


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, args=arguments, prog="tvm_bnn.tune compare")
    try:
        _compare(options)
    except UserError as error:
        complain(str(error))
        return 1
    return 0


def _compare(options: Options) -> None:
    if options.threads < 1 or options.repeats < 1:
        raise UserError(f"--threads {options.threads} --repeats {options.repeats}: both must be at least 1")
    os.environ["TVM_NUM_THREADS"] = str(options.threads)  # read when the first kernel runs
    from tvm_bnn.tune.comparing.compare_table import print_compared, records_of

    found = []
    for compared in _each(options):
        found.append(compared)
        if options.record is not None:
            from schedules.files.record_file import append

            append(options.record, records_of(str(options.model), options.target, [compared], options.threads))
    if options.format == "json":
        made = records_of(str(options.model), options.target, found, options.threads)
        print_json(made)
    else:
        print_compared(found, stdout())


def _each(options: Options) -> Iterator[Compared]:
    """Yield each layer as it is done."""
    from schedules.machines.target import find_target
    from schedules.tuned.lookup import tuned_for
    from schedules.tuned.tuning_log import existing
    from tvm_bnn.bench.options import warn_once
    from tvm_bnn.tune.comparing.comparing import compare
    from tvm_bnn.tune.subjects import tasks_named

    target, log = find_target(options.target), existing(options.log)
    if not target.runs_here:
        raise UserError(
            f"target '{options.target}': schedules are compared by their times, which have to be taken here"
        )
    with stage("reading the model"):
        tasks = [task for task in tasks_named(options.model, target) if options.only in task.name]
    if not tasks:
        raise UserError(f"model '{options.model}': no layer with a search space has '{options.only}' in its name")
    logs = tuned_for(target, log, warn_once)
    for task in tasks:
        with stage(f"timing {task.name}"):
            compared = compare(task, target, logs, options.linker, options.repeats, warn_once)
        yield compared
