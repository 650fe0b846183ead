"""What measures candidates: a processor here, one at the end of a wire, or a model of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import tvm

from schedules.tuned.tuning_log import Kind
from tvm_bnn.tune.tasks import Task


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a candidate took: seconds of a call, several times over; or one line about why there are none."""

    seconds: tuple[float, ...]
    failure: str = ""


@dataclasses.dataclass(frozen=True)
class Settled:
    """A candidate that was checked: whether it computes what the layer means, and what a call takes.

    Parameters
    ----------
    exact
        Whether it does. If not, ``failure`` says how that was found.
    seconds
        Taken in turns with the other candidates that were settled with it; 0 if it is not exact.
    """

    exact: bool
    seconds: float
    failure: str = ""


class Runner(Protocol):
    """Measures candidates of one target.

    What a candidate does wrong, it returns; where it cannot go on itself, as the board is gone, it raises
    :class:`schedules.errors.UserError`.
    """

    @property
    def kind(self) -> Kind:
        """Whether its numbers are times, or estimates."""
        ...

    @property
    def device(self) -> str:
        """What logs call the processor, or the model of one."""
        ...

    @property
    def threads(self) -> int:
        """That a kernel may use."""
        ...

    def measure(self, task: Task, modules: Sequence[tvm.IRModule]) -> list[Measured]:
        """Time candidates, each for itself."""
        ...

    def settle(self, task: Task, modules: Sequence[tvm.IRModule]) -> list[Settled]:
        """Check candidates against the layer's plain meaning, and time those that are right in turns."""
        ...
