"""What every front end makes of a model: a float graph to compile, and a reference that says what it means."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tvm

from relay_passes.simplify.settle_sign_zero import SignZero

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Imported:
    """A model that TVM has read.

    Parameters
    ----------
    module
        Float Relax; every layer's call carries the layer's name in its span.
    input_names, input_shapes, input_dtypes
        Of the model's inputs, in order.
    float_bytes
        Of all parameters and buffers, in the types that they were given in.
    notes
        What a report should say about the way in which the model was read.
    """

    module: tvm.IRModule
    input_names: tuple[str, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    input_dtypes: tuple[str, ...]
    float_bytes: int
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What a model answers to a batch with some near ties decided otherwise.

    Parameters
    ----------
    answers
        The outputs.
    decisions
        How many near ties fall otherwise than they do for the framework.
    """

    answers: Sequence[Array]
    decisions: int


class Reference(Protocol):
    """The model in the framework that it came from: what a compiled model is held against."""

    @property
    def name(self) -> str:
        """The framework, as reports show it."""

    @property
    def examples(self) -> Sequence[Array] | None:
        """One batch of inputs that came with the model, or None."""

    @property
    def zero_signs(self) -> tuple[int, int]:
        """How many exact zeros reached a sign of an activation in ``run`` so far, of how many values."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs for one batch, in float32: the original's own, before anything was made of it.

        Raises
        ------
        UserError
            If what was made of it, to be compiled, answers otherwise.
        """

    def joined(self, inputs: Sequence[Array], in_double: bool = False) -> list[Array] | None:
        """Return the outputs for another number of samples than the model's batch, or None if it takes no other."""

    def run_double(self, batches: Sequence[Sequence[Array]]) -> list[list[Array]] | None:
        """Return the outputs of several batches in float64, or None if the framework cannot."""

    def explain(self, inputs: Sequence[Array], outputs: Sequence[Array], tolerance: float) -> Explanation | None:
        """Return answers to one batch with near ties decided as in ``outputs``, in float32.

        None if they stay further apart than ``tolerance``, or the framework cannot tell.
        """

    def undecided(self, inputs: Sequence[Array], tolerance: float) -> Array | None:
        """Tell of each sample of a batch whether rounding may move its answers by more than ``tolerance``, ``(N,)``.

        None if the framework cannot tell.
        """

    def index_limits(self) -> Sequence[int | None]:
        """Return, for each input, how many rows the table has that its integers index; None where they index none."""

    def bound(self, inputs: Sequence[Array]) -> AbstractContextManager[Callable[[], object]]:
        """Lend a function without arguments that runs the model on one thread: what its latency is measured of."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A model as the user gave it.

    Parameters
    ----------
    name
        What reports and files call it.
    sha256
        Of the file that holds the weights, and of those beside it; empty for a model in memory.
    read
        Translates it to Relax.
    reference
        Makes it run as it was given, before any rewriting of ours; only the sign of zero may be settled.
    """

    name: str
    sha256: str
    read: Callable[[], Imported]
    reference: Callable[[SignZero], Reference]


def sign_zeros(signs: npt.NDArray[np.generic]) -> tuple[int, int]:
    """Return how many of a sign's results are zero, of how many."""
    return int((signs == 0).sum()), int(signs.size)
