"""Cycles of a layer without its processor: LLVM's model of each basic block, times how often the block is executed.

The model knows the execution units and how long each instruction keeps them, but no cache, no branch prediction, and
nothing of what overlaps between blocks.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from schedules.errors import UserError
from schedules.machines.target import Target
from tvm_bnn.bench.limits.cycle_model import Analyzer, find_analyzer
from tvm_bnn.tune.runners.counted_library import Block

_ITERATIONS = 100
#: What llvm-mca calls a core that it models as another.
_SAME_CORE = {"cortex-a76": "neoverse-n1"}


def analyzer() -> Analyzer:
    """Return the installed llvm-mca.

    Raises
    ------
    UserError
        If there is none that is new enough.
    """
    found = find_analyzer()
    if found is None:
        raise UserError("estimates need llvm-mca of LLVM 16 or later on the PATH: apt-get install llvm-19")
    return found


def model_of(target: Target) -> str:
    """Return what llvm-mca calls a target's processor."""
    if target.runs_here:
        return "native"
    cpu = str(target.tvm.get("mcpu", "generic"))
    return _SAME_CORE.get(cpu, cpu)


def cycles_of(blocks: Sequence[Block], target: Target, model: str) -> float:
    """Return the cycles that a run of the blocks takes by a core's model.

    Raises
    ------
    RuntimeError
        If llvm-mca cannot read a block.
    """
    executed = [block for block in blocks if block.executions]
    rates = _block_cycles(executed, target, model)
    return sum(block.executions * cycles for block, cycles in zip(executed, rates, strict=True))


def instructions_of(blocks: Sequence[Block]) -> float:
    """Return the instructions that a run of the blocks executes."""
    return float(sum(block.executions * len(block.instructions) for block in blocks))


def _block_cycles(blocks: Sequence[Block], target: Target, model: str) -> list[float]:
    """Return the cycles of each block when it follows itself."""
    text = "".join(
        f"# LLVM-MCA-BEGIN b{number}\n" + "\n".join(block.instructions) + "\n# LLVM-MCA-END\n"
        for number, block in enumerate(blocks)
    )
    command = [analyzer().program, f"-mtriple={target.machine}-linux-gnu", f"-mcpu={model}"]
    command += [f"-iterations={_ITERATIONS}", "-json", "-skip-unsupported-instructions=lack-sched"]
    finished = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(f"llvm-mca on {model}: {finished.stderr.strip().splitlines()[-1:]}")
    regions = {region["Name"]: region["SummaryView"] for region in json.loads(finished.stdout)["CodeRegions"]}
    views = [regions.get(f"b{number}", _NOTHING_KNOWN) for number in range(len(blocks))]
    return [view["TotalCycles"] / view["Iterations"] for view in views]


#: Of a block of which the model knows no instruction: a return by itself is one.
_NOTHING_KNOWN = {"TotalCycles": 0, "Iterations": 1}
