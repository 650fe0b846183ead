"""Confirm that the scalars which a module reads from tensors are constants of the model, or do not matter."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch

from schedules.errors import UserError
from tvm_bnn.front_ends.first_line import first_line
from tvm_bnn.front_ends.torch_model.eager.answers import agree, tensors_of
from tvm_bnn.front_ends.torch_model.eager.module import EagerModule
from tvm_bnn.front_ends.torch_model.eager.other_inputs import other_inputs
from tvm_bnn.front_ends.torch_model.eager.scalars import Read, Record, Replay

Inputs = Sequence[torch.Tensor]
Tensors = list[torch.Tensor]


class ScalarReads:
    """What one model reads on its example inputs, to be compared with what it reads on others."""

    def __init__(self, eager: EagerModule, inputs: Inputs) -> None:
        """Run the model once.

        Raises
        ------
        UserError
            If it does not run on these inputs.
        """
        self._eager = eager
        self._inputs = inputs
        try:
            self._answers, self.constants = self._recorded(inputs)
        except Exception as error:
            shapes = ", ".join("x".join(map(str, value.shape)) or "scalar" for value in inputs)
            raise UserError(
                f"model {eager.name} does not run on inputs of shape {shapes}: {first_line(error)}"
            ) from error

    def confirm(self) -> None:
        """Run the model on other kinds of inputs.

        Raises
        ------
        UserError
            If a scalar is another one there, and an answer depends on it.
        """
        if self.constants:
            for others in other_inputs(self._inputs):
                self.confirm_on(others)

    def confirm_on(self, others: Inputs) -> None:
        """Confirm the scalars on other inputs, unless the model fails on them: then it has no answer to be held to."""
        try:
            answers, reads = self._recorded(others)
        except Exception:
            return
        changed = _first_change(self.constants, reads)
        if changed is None or self._is_harmless(others, answers, reads):
            return
        raise UserError(
            f"model {self._eager.name} branches on its data at {self._culprit(others, answers, reads, changed)}: what "
            "is read there changes with the input; make the branch a torch.where, or a sum over one-hot choices, or "
            "export the branch you need"
        )

    def _is_harmless(self, others: Inputs, answers: Tensors, reads: list[Read]) -> bool:
        """Tell whether each input has the same answer with the other's scalars: in float32, or as exact numbers."""
        pairs = ((others, answers, self.constants), (self._inputs, self._answers, reads))
        return all(self._agrees(*each) for each in pairs)

    def _agrees(self, inputs: Inputs, answers: Tensors, reads: list[Read]) -> bool:
        with contextlib.suppress(Exception):
            if agree(answers, self._replayed(inputs, reads)):
                return True
            # What a gradient's scale is added and subtracted again leaves rounding behind, which may flip signs.
            doubled = [value.double() if value.is_floating_point() else value for value in inputs]
            return agree(self._recorded(doubled, double=True)[0], self._replayed(doubled, reads, double=True))
        return False

    def _culprit(self, others: Inputs, answers: Tensors, reads: list[Read], changed: Read) -> str:
        """Return the first place whose scalar alone makes a difference, else the first that changed."""
        for index, (constant, read) in enumerate(zip(self.constants, reads, strict=False)):
            if constant.place == read.place and not constant.is_same(read):
                alone = [*reads[:index], constant, *reads[index + 1 :]]
                if not self._agrees(others, answers, alone):
                    return read.place
        return changed.place

    def _recorded(self, inputs: Inputs, double: bool = False) -> tuple[Tensors, list[Read]]:
        record = Record()
        with self._eager.lent() as module, record:
            answers = tensors_of((module.double() if double else module)(*(value.clone() for value in inputs)))
        return answers, record.reads

    def _replayed(self, inputs: Inputs, reads: list[Read], double: bool = False) -> Tensors:
        with self._eager.lent() as module, Replay(reads, module):
            return tensors_of((module.double() if double else module)(*(value.clone() for value in inputs)))


def _first_change(constants: Sequence[Read], reads: Sequence[Read]) -> Read | None:
    for constant, read in zip(constants, reads, strict=False):
        if not constant.is_same(read):
            # Where the places differ, the branch was taken by something that is not seen: the line before is near.
            return read
    longer = max(constants, reads, key=len)
    shorter = min(len(constants), len(reads))
    return longer[shorter] if len(longer) > shorter else None
