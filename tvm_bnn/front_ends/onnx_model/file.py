"""Read ``.onnx`` files: whatever is wrong with one is said here, in one line."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnx.checker
import onnx.external_data_helper
import onnx.inliner
import onnx.version_converter

from schedules.errors import UserError
from tvm_bnn.front_ends.first_line import first_line
from tvm_bnn.front_ends.onnx_model.qonnx_operators import is_qonnx

Model = Any
#: Broadcasting got its present rules with opset 7.
OLDEST_OPSET = 7
#: What is older than this is brought to it, so that bounds and axes are inputs everywhere, as in what we write.
COMMON_OPSET = 13
#: The newest that ONNX Runtime 1.31 runs.
NEWEST_OPSET = 26
#: Networks have thousands of nodes; passes that follow a chain of values go as deep as it is long.
MOST_NODES = 20_000
#: A gigabyte of float32: what verification needs several times over.
MOST_ELEMENTS = 1 << 28


def read_onnx(path: Path) -> Model:
    """Load an ONNX file with its external data, at an opset between ``COMMON_OPSET`` and ``NEWEST_OPSET``.

    Functions of the model itself are inlined, except those that merely stand for QONNX operators.

    Raises
    ------
    UserError
        If it is missing, no ONNX model, invalid, or of an opset that is too old or too new.
    """
    if not path.is_file():
        raise UserError(f"model '{path}': no such file")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise UserError(f"model '{path}' is no ONNX file, or a damaged one ({first_line(error)})") from error
    if not model.graph.node:
        raise UserError(f"model '{path}' is no ONNX file, or an empty one: it holds no graph")
    opset = _opset(model, path)
    _refuse_size(model, path)
    _load_external_data(model, path)
    try:
        onnx.checker.check_model(model)
        model = _inlined(model)
        if opset < COMMON_OPSET:
            model = onnx.version_converter.convert_version(model, COMMON_OPSET)
    except Exception as error:
        raise UserError(f"model '{path}' is no valid ONNX model of opset {opset}: {first_line(error)}") from error
    return model


def digest(path: Path) -> str:
    """Return the SHA-256 of a readable ONNX file and, after it, of the files that hold its weights, by name."""
    model = onnx.load(str(path), load_external_data=False)
    beside = {_location(tensor) for tensor in _tensors(model)} - {""}
    sha256 = hashlib.sha256(path.read_bytes())
    for location in sorted(beside):
        sha256.update((path.parent / location).read_bytes())
    return sha256.hexdigest()


def _location(tensor: Any) -> str:
    """Return the file that holds a weight, relative to the model's; empty if the model does."""
    if not onnx.external_data_helper.uses_external_data(tensor):
        return ""
    return next((str(entry.value) for entry in tensor.external_data if entry.key == "location"), "")


def _tensors(message: Any) -> Iterator[Any]:
    """Yield every tensor of a model: of its graph and functions, and of attributes, at any depth."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in (value,) if hasattr(value, "ListFields") else value:
            yield from _tensors(item)


def _opset(model: Model, path: Path) -> int:
    version = next((int(item.version) for item in model.opset_import if item.domain in {"", "ai.onnx"}), 0)
    if not OLDEST_OPSET <= version <= NEWEST_OPSET:
        age = "too old" if version < OLDEST_OPSET else "too new"
        raise UserError(
            f"model '{path}' is of ONNX opset {version}, which is {age}: export it with an opset from "
            f"{OLDEST_OPSET} to {NEWEST_OPSET}"
        )
    return version


def _refuse_size(model: Model, path: Path) -> None:
    if len(model.graph.node) > MOST_NODES:
        raise UserError(f"model '{path}' has {len(model.graph.node)} nodes; at most {MOST_NODES} can be compiled")
    for value in model.graph.input:
        extents = [max(extent.dim_value, 1) for extent in value.type.tensor_type.shape.dim]
        if math.prod(extents) > MOST_ELEMENTS:
            shape = "x".join(map(str, extents))
            raise UserError(
                f"model '{path}': input '{value.name}' has shape {shape}; at most {MOST_ELEMENTS} values are possible: "
                "export it with a smaller batch"
            )


def _load_external_data(model: Model, path: Path) -> None:
    folder = path.parent.resolve()
    for tensor in _tensors(model):
        location = _location(tensor)
        if not location:
            continue
        place = (folder / location).resolve()
        if not place.is_relative_to(folder):
            raise UserError(
                f"model '{path}': the weight '{tensor.name}' lies in '{location}', outside of the model's folder"
            )
        if not place.is_file():
            raise UserError(
                f"model '{path}': the weight '{tensor.name}' lies in '{location}', which is not beside the model"
            )
    try:
        onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
    except Exception as error:
        raise UserError(f"model '{path}': its external data cannot be read ({first_line(error)})") from error


def _inlined(model: Model) -> Model:
    """Inline the model's own functions; what Brevitas lists as the body of a QONNX operator is only a stub."""
    kept = [function for function in model.functions if not is_qonnx(function.domain, function.name)]
    del model.functions[:]
    model.functions.extend(kept)
    return onnx.inliner.inline_local_functions(model) if kept else model
