"""The suite ``layers`` for a board that is not here: instructions counted under emulation, cycles from a model.

Nothing of this is a time. What the board would execute is exact; how fast it would is LLVM's opinion.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import tvm

from rpc.boards import instruction_counts
from schedules.errors import UserError
from schedules.machines.isa import NEON
from schedules.machines.target import find_target
from tvm_bnn.bench.limits.cycle_model import CORES, Analyzer, Core, find_analyzer, hottest_loop, macs_per_cycle
from tvm_bnn.bench.limits.ideal_loop import IdealLoop, ideal_loop
from tvm_bnn.bench.options import Plan
from tvm_bnn.bench.records import OURS, Record
from tvm_bnn.bench.suites.compiled_layer import check, choice_of, layer_input, schedule_of, scheduled_layer
from tvm_bnn.bench.workloads import SEED, WORKLOADS, Workload, operands_of
from tvm_bnn.compile import backend

SUITE = "layers"
NO_ANALYZER = "no llvm-mca of LLVM 16 or later on the PATH: apt-get install llvm-19"


def run(plan: Plan) -> Iterator[list[Record]]:
    """Estimate every binary workload that is asked for and yield its records.

    Raises
    ------
    UserError
        If the emulator is missing, or compiling fails.
    RuntimeError
        If a compiled layer computes the wrong thing.
    """
    missing = instruction_counts.unavailable(plan.target.machine)
    if missing is not None:
        raise UserError(f"target '{plan.target.name}': {missing}")
    for workload in WORKLOADS:
        if workload.binary and plan.selects(workload.name):
            yield estimate_layer(workload, plan)


def estimate_layer(workload: Workload, plan: Plan) -> list[Record]:
    """Check one layer under emulation, count what it executes, and ask the cycle models about its innermost loop."""
    target = plan.target
    operands = operands_of(workload)
    scheduled = scheduled_layer(workload, operands, target, plan.logs)
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        library = Path(folder) / "layer.so"
        library.write_bytes(backend.build_library(scheduled, target, plan.toolchain))
        inputs = [layer_input(workload, operands, target.isa)]
        (found,), counts = instruction_counts.count(
            library, target.machine, target.emulated_cpu, inputs, plan.toolchain
        )
    check(workload, operands, found)
    choice = choice_of(scheduled)
    ideal = ideal_of(workload, choice)
    counted = Record(
        suite=SUITE,
        case=workload.name,
        system=OURS,
        kind="estimate",
        work=workload.macs,
        unit="MAC",
        facts={
            "kernel": choice,
            "schedule": schedule_of(scheduled),
            "target": target.name,
            "cpu": str(target.emulated_cpu),
            "qemu": instruction_counts.qemu_version(target.machine),
            "instructions": counts.total(),
            "ideal": ideal.instructions,
        },
        seed=SEED,
    )
    return [counted, *(_modelled(counted, scheduled, core) for core in CORES)]


def ideal_of(workload: Workload, choice: str) -> IdealLoop:
    """Return the ideal loop of a layer under the tile that was chosen for it: ``bconv2d/neon 4x4``."""
    pixels, vectors = map(int, re.findall(r"^bconv2d\S* (\d+)x(\d+)", choice)[0])
    return ideal_loop(workload, NEON, pixels, vectors)


def _modelled(counted: Record, scheduled: tvm.IRModule, core: Core) -> Record:
    """Return what a core's model says of the layer, as a part of it."""
    analyzer = find_analyzer()
    facts = {} if analyzer is None else _facts(scheduled, core, analyzer)
    skipped = NO_ANALYZER if analyzer is None else ""
    return msgspec.structs.replace(counted, part=core.name, facts=facts, skipped=skipped, work=0.0, unit="")


def _facts(scheduled: tvm.IRModule, core: Core, analyzer: Analyzer) -> dict[str, str | int | float]:
    loop = hottest_loop(backend.assembly(scheduled, find_target(core.target)))
    rate = macs_per_cycle(loop, core, analyzer)
    return {
        "target": core.target,
        "model": core.model,
        "llvm-mca": analyzer.version,
        "loop_instructions": len(loop),
        "macs_per_cycle": rate,
        "share_of_limit": rate / core.limit,
    }
