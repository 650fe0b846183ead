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
from torch.fx import Interpreter
from torch.utils.flop_counter import FlopCounterMode

from relay_passes.simplify.settle_sign_zero import SignZero
from tvm_bnn.front_ends.source import Explanation
from tvm_bnn.front_ends.torch_model.eager.answers import tensors_of
from tvm_bnn.front_ends.torch_model.eager.original import Original
from tvm_bnn.front_ends.torch_model.running import near_ties
from tvm_bnn.front_ends.torch_model.running.index_limits import index_limits
from tvm_bnn.front_ends.torch_model.running.sign_counter import SignCounter
from tvm_bnn.front_ends.torch_model.running.undecided import undecided

Array = npt.NDArray[Any]
_HALF = frozenset({torch.float16, torch.bfloat16})
#: Operations of a run, of some ms on one thread, from which on several share it. Of less, threads mostly wait for each
#: other, operator by operator: where the machine is busy, verifying a small model takes minutes instead of seconds.
SHARED_OPERATIONS = 200_000_000


class TorchReference:
    """The model in PyTorch, in float32 and, as a yardstick for rounding, in float64."""

    def __init__(
        self,
        program: ExportedProgram,
        sign_zero: SignZero = "exact",
        original: Original | None = None,
        is_converted: bool = False,
    ) -> None:
        """Take the model, before any rewriting of ours.

        Parameters
        ----------
        program
            As it was exported, in float32.
        sign_zero
            What the sign of an exact zero is.
        original
            The module that the program was exported from, or None where the file is the model.
        is_converted
            Whether the module computes in other types than float32, so that the program is what can be compared.
        """
        self._original = original
        self._is_eager = original is not None and sign_zero == "exact" and not is_converted
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
        tensors = _tensors(inputs)
        with _threads(1), torch.no_grad():
            if self._is_eager and self._original is not None:
                with self._original.eager.lent() as module:
                    yield lambda: module(*tensors)
            else:
                yield lambda: self.module(*tensors)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs for one batch, as float32 PyTorch computes them: the module's own, where there is one.

        Raises
        ------
        UserError
            If the program that was exported from the module answers otherwise.
        """
        tensors = _tensors(inputs)
        with _threads(self._threads_for(tensors)), torch.no_grad():
            counted = _arrays(self._counter.run(*_tensors(inputs)))
            if self._original is None:
                return counted
            answers = self._original.checked(tensors, list(map(torch.from_numpy, counted)) if self._is_eager else None)
            return _arrays(answers) if self._is_eager else counted

    def joined(self, inputs: Sequence[Array], in_double: bool = False) -> list[Array] | None:
        """Return the outputs for another number of samples, or None if the model fails on it."""
        given = list(map(_doubled, inputs)) if in_double else _tensors(inputs)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if self._original is not None:
                    return _arrays(self._original.joined(given))
                # Node by node: called as a whole, it refuses other shapes than its own.
                module = self._program.module(check_guards=False)
                answers = _arrays(Interpreter(copy.deepcopy(module).double() if in_double else module).run(*given))
                # A batch that was written into a shape makes other rows of these.
                return answers if all(len(each) == len(inputs[0]) for each in answers) else None
        except Exception:
            return None

    def run_double(self, batches: Sequence[Sequence[Array]]) -> list[list[Array]] | None:
        """Return the outputs in float64, or None if the graph insists on float32 somewhere."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            double = SignCounter(copy.deepcopy(self.module).double(), self._sign_zero)
        threads = self._threads_for(_tensors(batches[0]))
        try:
            with _threads(threads), torch.no_grad():
                return [_arrays(double.run(*map(_doubled, batch))) for batch in batches]
        except RuntimeError:
            return None

    def explain(self, inputs: Sequence[Array], outputs: Sequence[Array], tolerance: float) -> Explanation | None:
        """Return answers to one batch with near ties decided as in ``outputs``, or None if they stay apart."""
        given, found = _tensors(inputs), _tensors(outputs)
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
                self.module(*(value.clone() for value in tensors))
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


def _tensors(arrays: Sequence[Array]) -> list[torch.Tensor]:
    """Return copies: some models write into their input."""
    return [torch.from_numpy(value).clone() for value in arrays]


def _doubled(value: Array) -> torch.Tensor:
    tensor = torch.from_numpy(value).clone()
    return tensor.double() if tensor.is_floating_point() else tensor


def _arrays(result: Any) -> list[Array]:
    return [np.asarray((tensor.float() if tensor.dtype in _HALF else tensor).numpy()) for tensor in tensors_of(result)]
