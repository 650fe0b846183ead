"""A module that is run as the user would run it, from the same state each time."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence

import torch

from schedules.errors import UserError
from tvm_bnn.front_ends.first_line import first_line
from tvm_bnn.front_ends.module_copy import copied
from tvm_bnn.front_ends.torch_model.eager.answers import agree, tensors_of
from tvm_bnn.front_ends.torch_model.eager.copies import changed_state

Inputs = Sequence[torch.Tensor]


class EagerModule:
    """Copies of a module in evaluation mode; the module itself is left as it is."""

    def __init__(self, module: torch.nn.Module) -> None:
        """Copy the module, before anything is traced.

        Raises
        ------
        UserError
            If it cannot be copied.
        """
        self.name = type(module).__name__
        try:
            self._pristine = copied(module).eval()
        except Exception as error:
            raise UserError(
                f"model {self.name} cannot be copied ({first_line(error)}): remove what its last run left in it"
            ) from error
        self._working = self.fresh()
        #: What runs have changed so far, by path.
        self.changed: set[str] = set()
        self._runs = 0

    def fresh(self) -> torch.nn.Module:
        """Return a copy that nothing ran yet."""
        return copied(self._pristine)

    def run(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return the answers of a fresh copy; the inputs are left as they are."""
        answers = self._call(inputs)
        if self._note_changes():
            self._working = self.fresh()
        return answers

    def run_double(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return the answers in float64; raises what the module raises if it insists on another type somewhere."""
        doubled = [value.double() if value.is_floating_point() else value for value in inputs]
        with _quietly(self._runs):
            return tensors_of(self.fresh().double()(*doubled))

    def refuse_memory(self, inputs: Inputs, others: Inputs) -> None:
        """Refuse a module whose answers depend on what it was asked before, or on chance.

        Parameters
        ----------
        inputs, others
            Two different batches, which are asked in turns.

        Raises
        ------
        UserError
            That names what forward changes.
        """
        first, second = (self.run(each) for each in (inputs, others))
        if not agree(first, self.run(inputs), 0):
            raise UserError(
                f"model {self.name} answers differently each time it is asked the same (random numbers? dropout in "
                "evaluation mode?): only what is the same in every run can be compiled"
            )
        again = [self._call(each) for each in (inputs, inputs, others, inputs)]
        self._note_changes()
        self._working = self.fresh()
        if all(map(agree, again, (first, first, second, first))):
            return
        what = ", ".join(f"'{name}'" for name in sorted(self.changed)[:3]) or "something that it keeps"
        raise UserError(
            f"model {self.name}: forward changes {what}, and its next answer with it; a compiled model has no state: "
            "pass it as an input and return it, or fix it before compiling"
        )

    @contextlib.contextmanager
    def lent(self) -> Iterator[torch.nn.Module]:
        """Lend a fresh copy, to be called many times; what it prints is swallowed."""
        with _quietly(self._runs):
            yield self.fresh()

    def _call(self, inputs: Inputs) -> list[torch.Tensor]:
        self._runs += 1
        with _quietly(self._runs):
            # Copies: some training code writes into its input.
            return tensors_of(self._working(*(value.clone() for value in inputs)))

    def _note_changes(self) -> bool:
        changed = changed_state(self._pristine, self._working)
        self.changed.update(changed)
        return bool(changed)


@contextlib.contextmanager
def _quietly(seed: int) -> Iterator[None]:
    """Run without gradients and prints, on random numbers of our own; and node by node, as what is exported runs.

    PyTorch computes a transformer's layer in one piece where it can, which rounds otherwise.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()):
            torch.manual_seed(seed)
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
