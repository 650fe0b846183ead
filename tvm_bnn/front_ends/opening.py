"""Open whatever the user named: the one place that knows all front ends."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.export import ExportedProgram

from relay_passes.simplify.settle_sign_zero import SignZero
from schedules.errors import UserError
from tvm_bnn.command_line.packages import require
from tvm_bnn.front_ends.source import Imported, Source
from tvm_bnn.front_ends.torch_model.adapting.batch import at_batch
from tvm_bnn.front_ends.torch_model.adapting.precision import in_float32, stored_bytes
from tvm_bnn.front_ends.torch_model.checks.calls import refuse_unusual_calls
from tvm_bnn.front_ends.torch_model.checks.numbers import refuse_bad_numbers
from tvm_bnn.front_ends.torch_model.eager.original import Original
from tvm_bnn.front_ends.torch_model.export import Captured, capture
from tvm_bnn.front_ends.torch_model.factory import Factory
from tvm_bnn.front_ends.torch_model.program import import_program, read_program
from tvm_bnn.front_ends.torch_model.reference import TorchReference

Given = str | os.PathLike[str] | torch.nn.Module | Factory


def open_model(
    model: Given, example_inputs: Sequence[torch.Tensor], batch: int | None = None, trust: bool = False
) -> Source:
    """Open a model.

    Parameters
    ----------
    model
        A ``.pt2`` or ``.onnx`` file, a module, or what makes one.
    example_inputs
        For a module: tensors of the shapes to compile for.
    batch
        To fix a dynamic first dimension to; 1 if None.
    trust
        Whether reading a file may run what is in it.

    Raises
    ------
    UserError
        If it cannot be read or exported.
    """
    if isinstance(model, torch.nn.Module):
        if not example_inputs:
            raise UserError(f"model {type(model).__name__}: pass example_inputs, tensors of the shapes to compile for")
        return _of_module(capture(model, example_inputs), type(model).__name__, "", batch)
    if isinstance(model, Factory):
        return _of_module(model.capture(), model.name, model.sha256, batch)
    path = Path(model)
    if path.suffix.lower() == ".onnx":
        return _of_onnx(path, batch)
    program = read_program(path, trust)
    return _of_program(program, path.stem, hashlib.sha256(path.read_bytes()).hexdigest(), batch)


def _of_module(captured: Captured, name: str, sha256: str, batch: int | None) -> Source:
    return _of_program(captured.program, name, sha256, batch, captured.original)


def _of_program(
    given: ExportedProgram,
    name: str,
    sha256: str,
    batch: int | None,
    original: Original | None = None,
) -> Source:
    refuse_unusual_calls(given, name)
    refuse_bad_numbers(given, name)
    float_bytes = stored_bytes(given)
    program, converted = in_float32(at_batch(given, batch, name))

    def read() -> Imported:
        imported = import_program(program)
        return dataclasses.replace(imported, float_bytes=float_bytes, notes=(*converted, *imported.notes))

    def reference(sign_zero: SignZero) -> TorchReference:
        return TorchReference(program, sign_zero, original, is_converted=bool(converted))

    return Source(name, sha256, read, reference)


def _of_onnx(path: Path, batch: int | None) -> Source:
    require(f"model '{path}'", "tvm-bnn[onnx]", "onnx", "onnxruntime")
    # Late: both are optional.
    from tvm_bnn.front_ends.onnx_model.file import digest
    from tvm_bnn.front_ends.onnx_model.graph import OnnxModel
    from tvm_bnn.front_ends.onnx_model.reference import OnnxReference

    model = OnnxModel(path, batch)
    return Source(path.stem, digest(path), model.translate, lambda sign_zero: OnnxReference(model.standard, sign_zero))
