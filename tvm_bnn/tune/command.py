"""``python -m tvm_bnn.tune``: find the fastest schedule of every layer of a model, and work on the logs of that."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from schedules.errors import UserError
from schedules.files.json_output import print_json
from tvm_bnn.command_line.command import INTERRUPTED, finish
from tvm_bnn.command_line.packages import require
from tvm_bnn.zoo.digits import DIGITS

if TYPE_CHECKING:
    from schedules.machines.target import Target
    from tvm_bnn.tune.runners.runner import Runner
    from tvm_bnn.tune.tasks import Task

#: After so many, layers rarely gain more.
TRIALS_A_LAYER = 48
_MINUTE = 60.0


@dataclasses.dataclass(frozen=True)
class Options:
    """Find the fastest schedule of every layer of a model for a target; the same command continues where it stopped.

    'tvm_bnn.tune log --help' is about logs, 'tvm_bnn.tune compare --help' about what they gain, 'tvm_bnn.tune rank
    --help' about how well estimates rank schedules.
    """

    model: Annotated[Path, tyro.conf.Positional] = DIGITS
    """As tvm_bnn.compile takes it; or bench:layers, the layers of 'tvm_bnn.bench layers', or bench:NAME, one of its
    networks."""
    weights: Path | None = None
    """For file.py:NAME: a state dict that torch.save wrote."""
    input: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """For file.py:NAME: shape of an input, 1x3x224x224; once for each input, in order."""
    batch: int | None = None
    """Batch to tune for, where the model was exported with a dynamic first dimension; 1 by default."""
    target: str = "native"
    """Machine to tune for: a name that 'tvm_bnn.compile --target list' prints, or a TVM target in JSON."""
    log: Path = Path("tuning")
    """Folder that keeps every measurement, in a folder for each target; 'tvm_bnn.compile --log' takes it."""
    trials: int | None = None
    """Candidates to measure, for all layers together, those in the log included; 48 for each layer by default."""
    minutes: float | None = None
    """Begin nothing after so long; checking the best takes a few seconds for each layer more."""
    device: str | None = None
    """Key under which a board is registered with the tracker; it measures instead of this machine."""
    tracker: str = "127.0.0.1:9190"
    """Address of the tracker: host:port."""
    secret: Annotated[Path | None, tyro.conf.arg(name="secret-file")] = None
    """With --device: file with the lab's secret; by default this user's own."""
    no_secret: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """With --device: use a tracker and a board that prove nothing, as TVM's own do."""
    threads: int = 1
    """Threads that a kernel may use."""
    sign_zero: Literal["exact", "plus", "minus"] = "exact"
    """As for tvm_bnn.compile: tune what will be compiled."""
    float_layers: Literal["fp32", "bf16", "int8"] = "fp32"
    """As for tvm_bnn.compile."""
    linker: Literal["zig", "system"] = "zig"
    """Who links the candidates: Zig from PyPI, or the system's (cross) compiler."""
    format: Literal["table", "json"] = "table"
    """How to print what was found."""
    trust: bool = False
    """Open a .pt2 that could run code while it is read, as tvm_bnn.compile does."""
    debug: bool = False
    """Show the traceback of an error."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["log"]:
        from tvm_bnn.tune.logs.log_command import main as log_main

        return log_main(given[1:])
    if given[:1] == ["compare"]:
        from tvm_bnn.tune.comparing.compare_command import main as compare_main

        return compare_main(given[1:])
    if given[:1] == ["rank"]:
        from tvm_bnn.tune.comparing.rank_command import main as rank_main

        return rank_main(given[1:])
    options = tyro.cli(Options, args=given, prog="tvm_bnn.tune")
    code = finish(lambda: _tune(options), options.debug)
    if code == INTERRUPTED:
        from tvm_bnn.command_line.console import complain

        complain(f"interrupted; '{options.log}' keeps all rounds before this one, and the same command continues there")
    return code


def _tune(options: Options) -> int:
    import time

    begin = time.monotonic()
    if options.threads < 1 or (options.trials is not None and options.trials < 1):
        raise UserError(f"--threads {options.threads} --trials {options.trials}: both must be at least 1")
    require("tune", "tvm-bnn[torch,tune]", "torch", "cloudpickle", "psutil", "tornado", "xgboost")
    os.environ["TVM_NUM_THREADS"] = str(options.threads)  # read when the first kernel runs
    from schedules.machines.target import find_target
    from schedules.tuned.tuning_log import folder_of
    from tvm_bnn.command_line.console import stage, stdout
    from tvm_bnn.compile.versions import versions
    from tvm_bnn.tune.searching.session import Plan, tune
    from tvm_bnn.tune.searching.table import Progress, print_verdicts

    target = find_target(options.target)
    runner = _runner(options, target)
    with stage("reading the model"):
        tasks = _tasks(options, target)
    if not tasks:
        raise UserError(f"model '{options.model}': no layer of it has a search space; there is nothing to tune")
    plan = Plan(
        target,
        folder_of(options.log, target, runner.kind),
        options.trials or TRIALS_A_LAYER * len(tasks),
        None if options.minutes is None else begin + options.minutes * _MINUTE,
    )
    progress = Progress(plan, runner.kind == "estimated")
    found = tune(tasks, runner, plan, versions(), progress, _warn)
    if options.format == "json":
        print_json(found)
    else:
        print_verdicts(tasks, found, _peaks(options, target, runner, tasks), stdout())
        _print_use(options)
    return 0 if all(verdict is not None for verdict in found) else 1


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _print_use(options: Options) -> None:
    """Print the command that compiles with what was found."""
    from tvm_bnn.command_line.console import stdout

    if not str(options.model).startswith("bench:"):
        log = f"--target {options.target} --log {options.log}"
        stdout().print(f"use it: python -m tvm_bnn.compile {options.model} {log}", soft_wrap=True)


def _tasks(options: Options, target: Target) -> list[Task]:
    from tvm_bnn.tune.subjects import tasks_of_benchmark, tasks_of_model

    place, _, name = str(options.model).partition(":")
    if place == "bench":
        return tasks_of_benchmark(name, target)
    from tvm_bnn.front_ends.torch_model.factory import named_model

    model = named_model(options.model, options.weights, options.input)
    return tasks_of_model(model, (), target, options.batch, options.sign_zero, options.float_layers, options.trust)


def _runner(options: Options, target: Target) -> Runner:
    """Return what measures: the board, if one is named, this machine, if it can, else a model of the processor."""
    if options.device is not None:
        from rpc.boards.emulated_boards import is_emulated
        from rpc.tracking.lab_secret import secret_of
        from tvm_bnn.tune.runners.device_runner import DeviceRunner
        from tvm_bnn.tune.runners.tracker import address_of

        if is_emulated(options.device):
            raise UserError(
                f"device '{options.device}': times of an emulated board say nothing; without --device, schedules are"
                " estimated"
            )
        return DeviceRunner(
            target,
            options.device,
            address_of(options.tracker),
            options.linker,
            options.threads,
            secret=secret_of(options.secret, options.no_secret),
        )
    if target.runs_here:
        from tvm_bnn.tune.runners.local_runner import LocalRunner

        return LocalRunner(target, options.linker, options.threads)
    from tvm_bnn.tune.runners.estimated_runner import estimated_runner

    return estimated_runner(target, options.linker)


def _peaks(options: Options, target: Target, runner: Runner, tasks: list[Task]) -> dict[bool, float]:
    """Return this machine's limits, as far as there are loops for them, where it was this machine that measured."""
    if runner.kind == "estimated" or options.device is not None or options.threads > 1:
        return {}
    from tvm_bnn.bench.limits.peaks import best_peak, rate_of

    quantities = {True: "binary", False: "float32"}
    found = {}
    for binary, quantity in quantities.items():
        if any(task.binary == binary for task in tasks):
            try:
                found[binary] = rate_of(best_peak(quantity, target.isa.name, options.linker))
            except UserError as error:
                _warn(str(error))
    return found
