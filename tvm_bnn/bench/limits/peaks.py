"""How much this processor computes at most: loops that do one thing and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from schedules.errors import UserError
from schedules.machines.link import Toolchain
from tvm_bnn.bench.limits.loop_library import compute_rows, load_loops
from tvm_bnn.bench.limits.work import Work, repeated, seconds
from tvm_bnn.bench.records import PEAK

_CHECKED_ROUNDS = 16
_TRIALS = 5


@dataclasses.dataclass(frozen=True)
class Peak:
    """One loop that this processor can execute.

    Parameters
    ----------
    name
        As tables show it.
    quantity
        ``binary``, ``float32``, ``int8`` or ``bfloat16``.
    isa
        The instruction set whose kernels it bounds (see :mod:`schedules.machines.isa`); empty if we have none.
    operations
        Multiply-accumulates of one round.
    run
        Does so many rounds and returns a checksum; other Python threads run meanwhile.
    """

    name: str
    quantity: str
    isa: str
    operations: float
    run: Callable[[int], float]

    @property
    def system(self) -> str:
        """What records call it, next to what reaches so much of it."""
        return f"{PEAK} {self.quantity}: {self.name}"

    def work(self, threads: int = 1) -> Work:
        """Return a call of about a millisecond."""
        return repeated([self.run] * threads, self.operations)


def compute_peaks(toolchain: Toolchain = "zig") -> list[Peak]:
    """Return the loops that this processor has the instructions for.

    Raises
    ------
    UserError
        If they cannot be compiled.
    RuntimeError
        If a loop's checksum is wrong: it would be measuring something else.
    """
    found = []
    for row in compute_rows(load_loops(toolchain)):
        name = row.name.decode()
        checksum, expected = row.run(_CHECKED_ROUNDS), row.expected(_CHECKED_ROUNDS)
        if checksum != expected:
            raise RuntimeError(f"peak loop '{name}' computed {checksum}, not {expected}")
        found.append(Peak(name, row.quantity.decode(), row.isa.decode(), row.operations, row.run))
    return found


def best_peak(quantity: str, isa: str, toolchain: Toolchain = "zig") -> Peak:
    """Return the fastest loop for a quantity on an instruction set, by a short trial of each.

    Raises
    ------
    UserError
        If this processor cannot execute any, or they cannot be compiled.
    """
    found = fastest(quantity, isa, toolchain)
    if found is None:
        raise UserError(f"peak: this CPU executes no {quantity} loop for {isa}")
    return found


def fastest(quantity: str, isa: str, toolchain: Toolchain = "zig") -> Peak | None:
    """Return what :func:`best_peak` does, or None if this processor cannot execute any."""
    candidates = [peak for peak in compute_peaks(toolchain) if (peak.quantity, peak.isa) == (quantity, isa)]
    return max(candidates, key=rate_of, default=None)


def rate_of(peak: Peak) -> float:
    """Return what a loop does in a second, by a short trial."""
    work = peak.work()
    return work.amount / min(seconds(work.call) for _ in range(_TRIALS))
