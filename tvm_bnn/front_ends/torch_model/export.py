"""Export modules that ``torch.export`` refuses as they are.

Two habits of training code stand in its way. Writing through ``.data`` hides the write from the tracer: while we trace,
``t.data`` is ``t.detach()`` and ``t.data = v`` is ``t.copy_(v)``. Branching on a Python scalar read from a tensor
(``if scale.item() == 0``) is fine as long as the scalar is a constant of the trained model: every scalar is recorded in
one run, confirmed in runs on *other* inputs, and replayed during the export. A model whose scalars change with
its input really branches on its data, and is refused.
"""

from __future__ import annotations

import io
import logging
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.overrides import TorchFunctionMode

from schedules.errors import UserError
from tvm_bnn.front_ends.module_copy import copied

Inputs = tuple[torch.Tensor, ...]
_READS = ("item", "__bool__", "__float__", "__int__", "__index__", "tolist")


def export_module(module: torch.nn.Module, example_inputs: Sequence[torch.Tensor]) -> ExportedProgram:
    """Export a copy of a module for inference; the module itself is left as it is.

    Raises
    ------
    UserError
        If the module does not run on inputs of these shapes, if it branches on its data, or if PyTorch cannot turn it
        into one graph for another reason.
    """
    inputs = tuple(example_inputs)
    model = copied(module).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _without_log():
                return torch.export.export(model, inputs, strict=False)
        except Exception as error:
            first_failure = error
        scalars = _constant_scalars(module, inputs)
        try:
            with _DataAsDetach(), _Replay(scalars):
                return torch.export.export(copied(module).eval(), inputs, strict=False)
        except Exception:
            raise UserError(
                f"model {type(module).__name__}: torch.export cannot turn it into one graph "
                f"({first_line(first_failure)})"
            ) from first_failure


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


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _constant_scalars(module: torch.nn.Module, inputs: Inputs) -> list[object]:
    """Return the Python scalars that the module reads from tensors, if they are the same for every input."""
    reads = _reads(module, inputs)
    for others in _others(inputs):
        again = _reads(module, others)
        changed = [place for (scalar, place), (other, _) in zip(reads, again, strict=False) if scalar != other]
        if changed or len(reads) != len(again):
            place = changed[0] if changed else max(reads, again, key=len)[-1][1]
            raise UserError(
                f"model {type(module).__name__} branches on its data at {place}: what is read there changes with the "
                "input; make the branch a torch.where, or export the branch you need"
            )
    return [scalar for scalar, _ in reads]


def _reads(module: torch.nn.Module, inputs: Inputs) -> list[tuple[object, str]]:
    """Return the scalars that one run reads, and where."""
    record = _Record()
    try:
        with record:
            # Copies: some training code writes into its parameters and its input.
            copied(module).eval()(*(value.clone() for value in inputs))
    except Exception as error:
        shapes = ", ".join("x".join(map(str, value.shape)) or "scalar" for value in inputs)
        raise UserError(
            f"model {type(module).__name__} does not run on inputs of shape {shapes}: {first_line(error)}"
        ) from error
    return record.reads


def _others(inputs: Inputs) -> Iterator[Inputs]:
    """Yield other inputs of the same kind: opposite, small and large noise; the same integers in other orders."""
    generator = torch.Generator().manual_seed(1)
    yield tuple(-value if value.is_floating_point() else value for value in inputs)
    for scale in (0.1, 1.0, -1.0, 10.0):
        yield tuple(
            scale * torch.randn(value.shape, generator=generator, dtype=value.dtype)
            if value.is_floating_point()
            else value.flatten()[torch.randperm(value.numel(), generator=generator)].reshape(value.shape)
            for value in inputs
        )


class _Record(TorchFunctionMode):
    """Notes every Python scalar that is read from a tensor, and where."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[object, str]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in _READS:
            self.reads.append((result, _caller()))
        return result


class _Replay(TorchFunctionMode):
    """Answers reads of Python scalars from a record."""

    def __init__(self, scalars: Sequence[object]) -> None:
        super().__init__()
        self._scalars = iter(scalars)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in _READS:
            return next(self._scalars)
        return func(*args, **(kwargs or {}))


class _DataAsDetach(TorchFunctionMode):
    """Makes reads and writes of ``.data`` visible to the tracer."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func == torch.Tensor.data.__get__:  # type: ignore[attr-defined]
            return args[0].detach()
        if func == torch.Tensor.data.__set__:  # type: ignore[attr-defined]
            args[0].copy_(args[1])
            return None
        return func(*args, **(kwargs or {}))


def _caller() -> str:
    """Return the innermost line of the user's code on the stack."""
    frames = [frame for frame in traceback.extract_stack() if "/torch/" not in frame.filename]
    frame = next(frame for frame in reversed(frames) if frame.filename != __file__)
    return f"{frame.filename}:{frame.lineno}"
