"""Open whatever the user named: the one place that knows all front ends."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.export import ExportedProgram

from schedules.errors import UserError
from tvm_bnn.command_line.packages import require
from tvm_bnn.front_ends.source import Imported, Source
from tvm_bnn.front_ends.torch_model.batch import at_batch
from tvm_bnn.front_ends.torch_model.export import export_module
from tvm_bnn.front_ends.torch_model.factory import Factory
from tvm_bnn.front_ends.torch_model.precision import in_float32, stored_bytes
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
        return _of_program(export_module(model, example_inputs), type(model).__name__, "", batch)
    if isinstance(model, Factory):
        return _of_program(model.export(), model.name, model.sha256, batch)
    path = Path(model)
    if path.suffix.lower() == ".onnx":
        return _of_onnx(path, batch)
    program = read_program(path, trust)
    return _of_program(program, path.stem, hashlib.sha256(path.read_bytes()).hexdigest(), batch)


def _of_program(given: ExportedProgram, name: str, sha256: str, batch: int | None) -> Source:
    float_bytes = stored_bytes(given)
    program, notes = in_float32(at_batch(given, batch, name))

    def read() -> Imported:
        return dataclasses.replace(import_program(program), float_bytes=float_bytes, notes=notes)

    return Source(name, sha256, read, lambda sign_zero: TorchReference(program, sign_zero))


def _of_onnx(path: Path, batch: int | None) -> Source:
    require(f"model '{path}'", "tvm-bnn[onnx]", "onnx", "onnxruntime")
    # Late: both are optional.
    from tvm_bnn.front_ends.onnx_model.file import digest
    from tvm_bnn.front_ends.onnx_model.graph import OnnxModel
    from tvm_bnn.front_ends.onnx_model.reference import OnnxReference

    model = OnnxModel(path, batch)
    return Source(path.stem, digest(path), model.translate, lambda sign_zero: OnnxReference(model.standard, sign_zero))
