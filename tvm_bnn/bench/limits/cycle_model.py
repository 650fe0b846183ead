"""What LLVM's models of ARM cores make of a kernel's innermost loop; a model, no measurement."""

from __future__ import annotations

import dataclasses
import functools
import re
import shutil
import subprocess
from collections.abc import Sequence

#: Older ones take Neoverse N1 for a Cortex-A57.
_LEAST_VERSION = 16
_NEWEST_TRIED = 30
_ITERATIONS = 100
_MACS_A_COUNT = 128
#: Instructions: eor, cnt, uadalp.
_A_PRODUCT = 3
_LABEL = re.compile(r"^(\.?\w+):")
_BRANCH = re.compile(r"^\s+(?:b\.\w+|b|cbn?z\s.*,|tbn?z\s.*,)\s+(\.?\w+)\s*$")
_COUNT = re.compile(r"^\s+cnt\s+v\d+\.16b")


@dataclasses.dataclass(frozen=True)
class Core:
    """A core that LLVM has a model of.

    Parameters
    ----------
    name
        As tables show it.
    target
        The target whose code runs on it: scheduled for another core it would look worse than it is.
    model
        What llvm-mca calls it.
    vectors_a_cycle
        128-bit vector instructions that it starts in a cycle.
    """

    name: str
    target: str
    model: str
    vectors_a_cycle: int

    @property
    def limit(self) -> float:
        """Binary multiply-accumulates a cycle, were there nothing but eor, cnt and uadalp."""
        return self.vectors_a_cycle * _MACS_A_COUNT / _A_PRODUCT


#: LLVM has no model of the Cortex-A76; the Neoverse N1 is the same core for servers.
CORES = (
    Core("Cortex-A53", "rpi3", "cortex-a53", 1),
    Core("Cortex-A72", "rpi4", "cortex-a72", 2),
    Core("Cortex-A76", "rpi5", "neoverse-n1", 2),
)


@dataclasses.dataclass(frozen=True)
class Analyzer:
    """An installed llvm-mca."""

    program: str
    version: str


@functools.cache
def find_analyzer() -> Analyzer | None:
    """Return the newest llvm-mca on the PATH that knows the cores, or None."""
    for name in (*(f"llvm-mca-{number}" for number in range(_NEWEST_TRIED, _LEAST_VERSION - 1, -1)), "llvm-mca"):
        program = shutil.which(name)
        if program is None:
            continue
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        version = re.search(r"LLVM version (\d+)(\S*)", said.stdout)
        if version is not None and int(version[1]) >= _LEAST_VERSION:
            return Analyzer(program, version[1] + version[2])
    return None


def hottest_loop(assembly: str) -> list[str]:
    """Return the innermost loop with the most cnt instructions, without directives; empty if none has any."""
    lines = assembly.splitlines()
    last_seen: dict[str, int] = {}
    loops: list[tuple[int, int]] = []
    for number, line in enumerate(lines):
        if label := _LABEL.match(line):
            last_seen[label[1]] = number
        elif (branch := _BRANCH.match(line)) and branch[1] in last_seen:
            loops.append((last_seen[branch[1]], number))
    innermost = [
        (start, end)
        for start, end in loops
        if not any(start <= inner and last <= end and (inner, last) != (start, end) for inner, last in loops)
    ]
    bodies = [_instructions(lines[start : end + 1]) for start, end in innermost]
    best = max(bodies, key=_counts, default=[])
    return best if _counts(best) else []


def macs_per_cycle(loop: Sequence[str], core: Core, analyzer: Analyzer) -> float:
    """Return the binary multiply-accumulates that a loop does in a cycle on a core's model, caches never missed.

    Raises
    ------
    RuntimeError
        If llvm-mca cannot read the loop.
    """
    command = [analyzer.program, "-mtriple=aarch64-linux-gnu", f"-mcpu={core.model}", f"-iterations={_ITERATIONS}"]
    finished = subprocess.run(command, input="\n".join(loop) + "\n", capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(f"llvm-mca on {core.model}: {finished.stderr.strip()}")
    return _counts(loop) * _MACS_A_COUNT / cycles_per_iteration(finished.stdout)


def cycles_per_iteration(output: str) -> float:
    """Return the cycles of one iteration from what llvm-mca prints.

    Raises
    ------
    ValueError
        If the summary is not in it.
    """
    found = {
        name: int(value) for name, value in re.findall(r"^(Iterations|Total Cycles):\s+(\d+)$", output, re.MULTILINE)
    }
    if found.keys() != {"Iterations", "Total Cycles"}:
        raise ValueError("llvm-mca printed no summary of iterations and cycles")
    return found["Total Cycles"] / found["Iterations"]


def _counts(loop: Sequence[str]) -> int:
    return sum(_COUNT.match(line) is not None for line in loop)


def _instructions(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line[:1].isspace() and not line.strip().startswith((".", "//")) and line.strip()]
