"""A module beside the program that was exported from it: the second says where the first was lost."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence

import torch
from torch.export import ExportedProgram

from schedules.errors import UserError
from tvm_bnn.front_ends.torch_model.eager.answers import TOLERANCE, Tensors, agree, tensors_of
from tvm_bnn.front_ends.torch_model.eager.blame import first_difference
from tvm_bnn.front_ends.torch_model.eager.confirmation import ScalarReads
from tvm_bnn.front_ends.torch_model.eager.module import EagerModule
from tvm_bnn.front_ends.torch_model.running.near_ties import explain

Inputs = Sequence[torch.Tensor]


class Original:
    """What a compiled model is held against where there is a module; and whether its program says the same."""

    def __init__(self, eager: EagerModule, program: ExportedProgram, example_inputs: Inputs) -> None:
        """Take the program as it was exported: nothing is converted yet."""
        self.eager = eager
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._exported = program.module()
        self._examples = [value.clone() for value in example_inputs]

    def checked(self, inputs: Inputs, exported: Tensors | None = None) -> list[torch.Tensor]:
        """Return the module's answers to one batch, in the types that it was given in.

        ``exported`` are the program's, if they are known.

        Raises
        ------
        UserError
            If the program answers otherwise, and rounding does not explain it. The message names the line that read the
            data, what forward changes, or the module that computes something else.
        """
        given = self._cast(inputs)
        answers = self.eager.run(given)
        exported = self._run_exported(given) if exported is None else exported
        if agree(answers, exported) or self._is_rounding(given, answers):
            return answers
        ScalarReads(self.eager, self._examples).confirm_on(given)
        self.eager.refuse_memory(self._examples, given)
        where = first_difference(self.eager, self._exported, given)
        raise UserError(
            f"model {self.eager.name}: torch.export's program answers otherwise than the module itself, by up to "
            f"{_largest_difference(answers, exported):.3g}, on inputs between {_range(given)}"
            f"; they part in {where}: forward does something there that no graph records; write it with tensors alone"
        )

    def joined(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return the module's answers to another number of samples, in float64 if they are; raises what it raises."""
        if any(value.dtype is torch.float64 for value in inputs):
            return self.eager.run_double(inputs)
        return self.eager.run(self._cast(inputs))

    def _run_exported(self, inputs: Inputs) -> list[torch.Tensor]:
        with torch.no_grad():
            return tensors_of(self._exported(*(value.clone() for value in inputs)))

    def _is_rounding(self, inputs: Inputs, answers: Tensors) -> bool:
        """Tell whether near ties, decided otherwise, make up for a difference, or float64 shows none."""
        tolerance = TOLERANCE * max((float(answer.abs().max()) for answer in answers if answer.numel()), default=0.0)
        try:
            with torch.no_grad():
                cloned = [value.clone() for value in inputs]
                if explain(self._exported, "exact", cloned, answers, tolerance) is not None:
                    return True
                doubled = [value.double() if value.is_floating_point() else value for value in inputs]
                return agree(self.eager.run_double(inputs), tensors_of(self._double()(*doubled)))
        except Exception:
            return False

    def _double(self) -> torch.nn.Module:
        return copy.deepcopy(self._exported).double()

    def _cast(self, inputs: Inputs) -> list[torch.Tensor]:
        return [value.to(example.dtype) for value, example in zip(inputs, self._examples, strict=True)]


def _largest_difference(one: Tensors, other: Tensors) -> float:
    pairs = [(a, b) for a, b in zip(one, other, strict=False) if a.shape == b.shape and a.numel()]
    return max((float((a.double() - b.double()).abs().nan_to_num(torch.inf).max()) for a, b in pairs), default=0.0)


def _range(inputs: Inputs) -> str:
    least, most = min(float(value.min()) for value in inputs), max(float(value.max()) for value in inputs)
    return f"{least:.3g} and {most:.3g}"
