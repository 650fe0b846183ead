"""``python -m tvm_bnn.bench``: measure this machine, the kernels and whole networks, beside what others reach."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from schedules.errors import UserError
from schedules.files.json_output import print_json
from tvm_bnn.command_line.command import finish
from tvm_bnn.command_line.packages import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from rich.console import Console

    from tvm_bnn.bench.options import Plan
    from tvm_bnn.bench.records import Record

    Runner: TypeAlias = Callable[[Plan], Iterator[list[Record]]]
    Printer: TypeAlias = Callable[[Sequence[Record], Console], None]

Suite = Literal["micro", "layers", "networks"]
SUITES: tuple[Suite, ...] = ("micro", "layers", "networks")


@dataclasses.dataclass(frozen=True)
class Options:
    """Measure what this machine can do at most, single layers against that and against others, and whole networks."""

    suite: Annotated[Literal["all", "micro", "layers", "networks"], tyro.conf.Positional] = "all"
    """micro: the machine's limits; layers: single layers; networks: whole networks; all: one after the other."""
    target: str = "native"
    """What to compile for: a name that 'tvm_bnn.compile --target list' prints, of a kind that this machine executes.
    For another machine, 64-bit ARM, 'layers' counts instructions under emulation: estimates, no times."""
    format: Literal["table", "json"] = "table"
    """How to print the results."""
    record: Path | None = None
    """File that every result is appended to, one JSON line each, with all samples and facts about the machine."""
    threads: int = 1
    """Threads that loops, compiled kernels and peers may use."""
    log: Path | None = None
    """Tuning log, from tvm_bnn.tune, whose schedules are taken first; then those of the package, then the default."""
    peers: bool = True
    """Measure PyTorch, ONNX Runtime and OpenVINO beside it, as far as they are installed."""
    float_layers: Literal["fp32", "bf16", "int8"] = "fp32"
    """What the float layers of networks compute in. With bf16 or int8, peers are on narrower numbers, too: float twins
    in int8, and OpenVINO's binary convolutions with all else in bfloat16."""
    only: str = ""
    """Run only the cases whose names contain this."""
    repeats: int = 30
    """Samples of each result."""
    linker: Literal["zig", "system"] = "zig"
    """Who compiles the loops and links the kernels: Zig from PyPI, or the system's compiler."""
    debug: bool = False
    """Show the traceback of an error."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, args=arguments, prog="tvm_bnn.bench")
    return finish(lambda: _bench(options), options.debug)


def _bench(options: Options) -> int:
    if options.threads < 1 or options.repeats < 1:
        raise UserError(f"--threads {options.threads} --repeats {options.repeats}: both must be at least 1")
    # Read when the libraries are loaded, so before anything imports them.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["TVM_NUM_THREADS"] = str(options.threads)
    from schedules.tuned.tuning_log import existing
    from tvm_bnn.bench.options import Plan, target_of

    plan = Plan(
        target=target_of(options.target, options.suite),
        threads=options.threads,
        peers=options.peers,
        only=options.only,
        repeats=options.repeats,
        toolchain=options.linker,
        log=existing(options.log),
        float_layers=options.float_layers,
    )
    suites = SUITES if options.suite == "all" else (options.suite,)
    if "networks" in suites:
        require("bench networks", "tvm-bnn[bench]", "torch")
    records = [record for suite in suites for record in _run(suite, plan, options)]
    if not records:
        raise UserError(f"--only {options.only}: no case of {options.suite} has that in its name")
    if options.format == "json":
        print_json(records)
    return 0


def _run(suite: Suite, plan: Plan, options: Options) -> list[Record]:
    """Run one suite; keep and print its results before the next one starts."""
    from schedules.files.record_file import append
    from tvm_bnn.command_line.console import stdout

    run, show = _functions(suite, plan.estimated)
    made = []
    for records in run(plan):
        if options.record is not None:
            append(options.record, records)
        made += records
    if made and options.format == "table":
        show(made, stdout())
    return made


def _functions(suite: Suite, estimated: bool) -> tuple[Runner, Printer]:
    """Return what runs a suite, case by case, and what prints it; imported only if it is asked for."""
    if suite == "micro":
        from tvm_bnn.bench.suites import micro as micro_suite
        from tvm_bnn.bench.tables.micro import print_micro

        return micro_suite.run, print_micro
    if suite == "layers" and estimated:
        from tvm_bnn.bench.suites import estimates as estimate_suite
        from tvm_bnn.bench.tables.estimates import print_estimates

        return estimate_suite.run, print_estimates
    if suite == "layers":
        from tvm_bnn.bench.suites import layers as layer_suite
        from tvm_bnn.bench.tables.layers import print_layers

        return layer_suite.run, print_layers
    from tvm_bnn.bench.suites import networks as network_suite
    from tvm_bnn.bench.tables.networks import print_networks

    return network_suite.run, print_networks
