"""What the command line decides about a run."""

from __future__ import annotations

import dataclasses
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.isa import NEON
from schedules.machines.link import Toolchain
from schedules.machines.target import Target, find_target

if TYPE_CHECKING:  # which imports TVM
    from schedules.tuned.lookup import Tuned
    from tvm_bnn.compile.float_layers import FloatLayers


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run.

    Parameters
    ----------
    target
        What to compile for; runs here, or its layers are only estimated.
    threads
        That loops, compiled kernels and peers may use; one number for a process.
    peers
        Whether others are measured beside it.
    only
        Cases whose names contain this; all if empty.
    repeats
        Samples of each.
    toolchain
        Compiles the loops and links the kernels.
    log
        A tuning log, whose schedules come before those that ship with the package, and these before the default.
    float_layers
        What float layers of networks compute in; peers are then measured on narrower numbers.
    """

    target: Target
    threads: int = 1
    peers: bool = True
    only: str = ""
    repeats: int = 30
    toolchain: Toolchain = "zig"
    log: Path | None = None
    float_layers: FloatLayers = "fp32"

    @functools.cached_property
    def logs(self) -> list[Tuned]:
        """What is known of better schedules than the default, as a compilation takes it."""
        from schedules.tuned.lookup import tuned_for

        return tuned_for(self.target, self.log, warn_once)

    @property
    def estimated(self) -> bool:
        """Whether instructions are counted instead of time measured."""
        return not self.target.runs_here

    def selects(self, case: str) -> bool:
        """Tell whether a case of that name is to be run."""
        return self.only.lower() in case.lower()


@functools.cache
def warn_once(message: str) -> None:
    """Print a line of warning, if it was not printed yet: many layers may have the same to say of a log."""
    print(f"warning: {message}", file=sys.stderr)


def target_of(name: str, suite: str) -> Target:
    """Return the target that a suite runs with: another machine's if all that is asked for are estimates of layers.

    Raises
    ------
    UserError
        As :func:`local_target` does.
    """
    target = find_target(name)
    can_be_estimated = suite == "layers" and target.isa == NEON and target.machine != host.machine()
    return target if can_be_estimated else local_target(name)


def local_target(name: str) -> Target:
    """Return the target of that name.

    Raises
    ------
    UserError
        If there is no such target, or this machine cannot execute what is compiled for it.
    """
    target = find_target(name)
    if not target.runs_here:
        raise UserError(
            f"target '{name}': this machine cannot execute {target.isa.name} for {target.machine}, and times under"
            " emulation say nothing: run the benchmark on the device ('layers' of a 64-bit ARM target are estimated"
            " anywhere)"
        )
    return target
