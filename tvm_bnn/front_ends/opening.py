"""Open whatever the user named: the one place that knows all front ends."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.export import ExportedProgram

from schedules.errors import UserError
from tvm_bnn.front_ends.export import export_module
from tvm_bnn.front_ends.source import Source
from tvm_bnn.front_ends.torch_program import import_program, read_program
from tvm_bnn.front_ends.torch_reference import TorchReference


def open_model(model: str | os.PathLike[str] | torch.nn.Module, example_inputs: Sequence[torch.Tensor]) -> Source:
    """Open a model.

    Parameters
    ----------
    model
        A ``.pt2`` or ``.onnx`` file, or a module.
    example_inputs
        For a module: tensors of the shapes to compile for.

    Raises
    ------
    UserError
        If it cannot be read or exported.
    """
    if isinstance(model, torch.nn.Module):
        if not example_inputs:
            raise UserError(f"model {type(model).__name__}: pass example_inputs, tensors of the shapes to compile for")
        return _of_program(export_module(model, example_inputs), type(model).__name__, "")
    path = Path(model)
    if path.suffix.lower() == ".onnx":
        return _of_onnx(path)
    program = read_program(path)
    return _of_program(program, path.stem, hashlib.sha256(path.read_bytes()).hexdigest())


def _of_program(program: ExportedProgram, name: str, sha256: str) -> Source:
    return Source(name, sha256, lambda: import_program(program), lambda sign_zero: TorchReference(program, sign_zero))


def _of_onnx(path: Path) -> Source:
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"model '{path}' needs {' and '.join(missing)}: pip install 'tvm-bnn[onnx]'")
    # Late: both are optional.
    from tvm_bnn.front_ends.onnx_file import digest
    from tvm_bnn.front_ends.onnx_graph import OnnxModel
    from tvm_bnn.front_ends.onnx_reference import OnnxReference

    model = OnnxModel(path)
    return Source(path.stem, digest(path), model.translate, lambda sign_zero: OnnxReference(model.standard, sign_zero))
