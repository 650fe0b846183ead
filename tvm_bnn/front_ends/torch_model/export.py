"""Export modules, with what ``torch.export`` would lose or refuse.

Two habits of training code stand in its way. Writing through ``.data`` hides the write from the tracer: see
``eager/rebinding.py``. Branching on a Python scalar read from a tensor (``if scale.item() == 0``) is fine as long as
the scalar is a constant of the trained model: every scalar is recorded in one run, confirmed in runs on *other* inputs,
and replayed during the export. A model whose scalars change with its input, and its answers with them, really branches
on its data, and is refused.

What comes out is held against the module itself, at once on the examples, and later on all samples of the check.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch
from torch.export import ExportedProgram

from schedules.errors import UserError
from tvm_bnn.front_ends.first_line import first_line
from tvm_bnn.front_ends.torch_model.eager.confirmation import ScalarReads
from tvm_bnn.front_ends.torch_model.eager.module import EagerModule
from tvm_bnn.front_ends.torch_model.eager.original import Original
from tvm_bnn.front_ends.torch_model.eager.other_inputs import other_inputs
from tvm_bnn.front_ends.torch_model.eager.rebinding import Rebinding
from tvm_bnn.front_ends.torch_model.eager.scalars import Replay

Inputs = tuple[torch.Tensor, ...]


@dataclasses.dataclass(frozen=True)
class Captured:
    """A module's program, and the module itself, which has the last word."""

    program: ExportedProgram
    original: Original


def capture(module: torch.nn.Module, example_inputs: Sequence[torch.Tensor]) -> Captured:
    """Export a copy of a module for inference; the module itself is left as it is.

    Raises
    ------
    UserError
        If the module does not run on inputs of these shapes, if it branches on its data, if its answers depend on what
        it was asked before, or if PyTorch cannot turn it into one graph for another reason.
    """
    eager = EagerModule(module)
    inputs = _dense(example_inputs)
    reads = ScalarReads(eager, inputs)
    reads.confirm()
    eager.refuse_memory(inputs, _different(eager, inputs))
    program = _export(eager, inputs, reads)
    original = Original(eager, program, inputs)
    original.checked(inputs)
    return Captured(program, original)


def export_module(module: torch.nn.Module, example_inputs: Sequence[torch.Tensor]) -> ExportedProgram:
    """Return the program of :func:`capture` alone."""
    return capture(module, example_inputs).program


def _dense(inputs: Sequence[torch.Tensor]) -> Inputs:
    """Return copies that share no memory: one tensor that is given twice stands for two inputs.

    Raises
    ------
    UserError
        If an input is no tensor.
    """
    for index, value in enumerate(inputs):
        if not isinstance(value, torch.Tensor):
            raise UserError(
                f"example_inputs: number {index} is a {type(value).__name__}; models take tensors only, one for each "
                "argument of forward"
            )
    return tuple(value.detach().clone(memory_format=torch.contiguous_format) for value in inputs)


def _different(eager: EagerModule, inputs: Inputs) -> Inputs:
    """Return other inputs that the model runs on, or the same if it runs on no others."""
    for others in other_inputs(inputs):
        with contextlib.suppress(Exception):
            eager.run(others)
            return others
    return inputs


def _export(eager: EagerModule, inputs: Inputs, reads: ScalarReads) -> ExportedProgram:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _without_log():
                return _traced(eager, inputs, None)
        except Exception as error:
            first_failure = error
        try:
            return _traced(eager, inputs, reads)
        except Exception:
            raise UserError(
                f"model {eager.name}: torch.export cannot turn it into one graph ({first_line(first_failure)})"
            ) from first_failure


def _traced(eager: EagerModule, inputs: Inputs, reads: ScalarReads | None) -> ExportedProgram:
    model = eager.fresh()
    replaying = contextlib.nullcontext() if reads is None else Replay(reads.constants, model)
    with Rebinding(model), replaying:
        return torch.export.export(model, tuple(value.clone() for value in inputs), strict=False)


@contextmanager
def _without_log() -> Iterator[None]:
    """Keep to ourselves what PyTorch logs and prints on the way to an exception: tracebacks, and the graph so far.

    What a trace prints that succeeds is the model's own, and goes to stderr.
    """
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before, logger.disabled = logger.disabled, True
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            yield
        sys.stderr.write(printed.getvalue())
    finally:
        logger.disabled = before
