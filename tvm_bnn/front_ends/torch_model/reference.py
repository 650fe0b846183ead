"""What PyTorch says: the reference that a compiled model is held against."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.export import ExportedProgram
from torch.utils.flop_counter import FlopCounterMode

from relay_passes.simplify.settle_sign_zero import SignZero
from tvm_bnn.front_ends.source import Explanation
from tvm_bnn.front_ends.torch_model import near_ties
from tvm_bnn.front_ends.torch_model.index_limits import index_limits
from tvm_bnn.front_ends.torch_model.sign_counter import SignCounter
from tvm_bnn.front_ends.torch_model.undecided import undecided

Array = npt.NDArray[Any]
#: Operations of a run, of some ms on one thread, from which on several share it. Of less, threads mostly wait for each
#: other, operator by operator: where the machine is busy, verifying a small model takes minutes instead of seconds.
SHARED_OPERATIONS = 200_000_000


class TorchReference:
    """The model in PyTorch, in float32 and, as a yardstick for rounding, in float64."""

    def __init__(self, program: ExportedProgram, sign_zero: SignZero = "exact") -> None:
        """Take the program as it was exported, before any rewriting of ours."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.module = program.module()
        self._counter = SignCounter(self.module, sign_zero)
        self._program = program
        self._sign_zero = sign_zero
        self._operations: int | None = None

    @property
    def name(self) -> str:
        """The framework."""
        return "PyTorch"

    @property
    def examples(self) -> list[Array] | None:
        """The inputs that the program was exported with."""
        stored = self._program.example_inputs
        return None if stored is None else [tensor.numpy() for tensor in stored[0]]

    @contextmanager
    def bound(self, inputs: Sequence[Array]) -> Iterator[Callable[[], object]]:
        """Lend a function without arguments that runs one batch in eager float32 on one thread."""
        tensors = [torch.from_numpy(value) for value in inputs]
        with _threads(1), torch.no_grad():
            yield lambda: self.module(*tensors)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs for one batch, as float32 PyTorch computes them."""
        tensors = [torch.from_numpy(value) for value in inputs]
        with _threads(self._threads_for(tensors)), torch.no_grad():
            return _arrays(self._counter.run(*tensors))

    def run_double(self, batches: Sequence[Sequence[Array]]) -> list[list[Array]] | None:
        """Return the outputs in float64, or None if the graph insists on float32 somewhere."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            double = SignCounter(copy.deepcopy(self.module).double(), self._sign_zero)
        threads = self._threads_for([torch.from_numpy(value) for value in batches[0]])
        try:
            with _threads(threads), torch.no_grad():
                return [_arrays(double.run(*map(_doubled, batch))) for batch in batches]
        except RuntimeError:
            return None

    def explain(self, inputs: Sequence[Array], outputs: Sequence[Array], tolerance: float) -> Explanation | None:
        """Return answers to one batch with near ties decided as in ``outputs``, or None if they stay apart."""
        given, found = ([torch.from_numpy(value) for value in values] for values in (inputs, outputs))
        with _threads(self._threads_for(given)), torch.no_grad():
            explained = near_ties.explain(self.module, self._sign_zero, given, found, tolerance)
        if explained is None:
            return None
        answers, decisions = explained
        return Explanation([answer.numpy() for answer in answers], decisions)

    def undecided(self, inputs: Sequence[Array], tolerance: float) -> Array:
        """Tell of each sample of a batch whether rounding may decide its answers, ``(N,)``."""
        given = [torch.from_numpy(value) for value in inputs]
        with _threads(self._threads_for(given)), torch.no_grad():
            return undecided(self.module, self._sign_zero, given, tolerance).numpy()

    def index_limits(self) -> list[int | None]:
        """Return how many rows the tables have that the inputs index."""
        return index_limits(self.module)

    def _threads_for(self, tensors: Sequence[torch.Tensor]) -> int:
        """Return how many threads are worth waking for a batch."""
        if self._operations is None:
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                self.module(*tensors)
            self._operations = counter.get_total_flops()
        return torch.get_num_threads() if self._operations >= SHARED_OPERATIONS else 1

    @property
    def zero_signs(self) -> tuple[int, int]:
        """How many exact zeros reached a sign so far, of how many values."""
        return self._counter.zeros, self._counter.signs


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _doubled(value: Array) -> torch.Tensor:
    tensor = torch.from_numpy(value)
    return tensor.double() if tensor.is_floating_point() else tensor


def _arrays(result: Any) -> list[Array]:
    tensors = [result] if isinstance(result, torch.Tensor) else list(result)
    return [np.asarray(tensor.numpy()) for tensor in tensors]
