"""An ONNX model in float64: the yardstick for what rounding alone does to it.

ONNX Runtime has no convolutions in float64. ONNX's own reference evaluator computes in whatever type it is given, but
walks through images pixel by pixel in Python: PyTorch takes windows over from it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from torch.nn import functional

Array = npt.NDArray[Any]
_RANK = 4
#: A wrong yardstick would excuse wrong answers: only operators that the tests hold against ONNX Runtime are used.
_TRUSTED = frozenset(
    {
        *("Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Conv", "Div", "Exp"),
        *("Flatten", "Floor", "Gather", "Gemm", "GlobalAveragePool", "Greater", "GreaterOrEqual", "HardSwish"),
        *("Identity", "LeakyRelu", "Less", "LessOrEqual", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg", "PRelu"),
        *("Pad", "ReduceMean", "Relu", "Reshape", "Round", "Sigmoid", "Sign", "Split", "Sqrt", "Squeeze", "Sub"),
        *("Sum", "Tanh", "Transpose", "Unsqueeze", "Where"),
    }
)


def run_double(model: Any, batches: Sequence[dict[str, Array]]) -> list[list[Array]] | None:
    """Return a model's outputs in float64, or None if it holds operators that are not trusted, or cannot be run.

    Parameters
    ----------
    model
        Of standard operators, its constants folded.
    batches
        For each of them, the inputs by name.
    """
    if any(node.op_type not in _TRUSTED for node in model.graph.node):
        return None
    try:
        evaluator = ReferenceEvaluator(_doubled(model), new_ops=[Conv, MaxPool, AveragePool, BatchNormalization])
        return [evaluator.run(None, {name: _double(value) for name, value in batch.items()}) for batch in batches]
    except Exception:  # whatever an operator raises, it leaves no yardstick
        return None


def _double(value: Array) -> Array:
    return value.astype(np.float64) if value.dtype == np.float32 else value


def _doubled(model: Any) -> Any:
    """Return a copy whose constants and casts are float64."""
    double = copy.deepcopy(model)
    graph = double.graph
    constants = [numpy_helper.from_array(_double(numpy_helper.to_array(item)), item.name) for item in graph.initializer]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(constants)
    for node in graph.node:
        for item in node.attribute:
            if node.op_type == "Cast" and item.name == "to" and item.i == TensorProto.FLOAT:
                item.i = TensorProto.DOUBLE
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return double


class Conv(OpRun):  # type: ignore[misc]
    """A convolution by PyTorch."""

    op_domain = ""

    def _run(self, x: Array, weight: Array, bias: Array | None = None, **attributes: Any) -> tuple[Array]:
        convolve = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}[x.ndim]
        if attributes.get("auto_pad") not in {None, "NOTSET"}:
            raise NotImplementedError("automatic padding")
        result = convolve(
            _padded(x, attributes.get("pads"), 0.0),
            torch.from_numpy(weight),
            None if bias is None else torch.from_numpy(bias),
            stride=tuple(attributes.get("strides") or [1] * (x.ndim - 2)),
            dilation=tuple(attributes.get("dilations") or [1] * (x.ndim - 2)),
            groups=attributes.get("group") or 1,
        )
        return (result.numpy(),)


class MaxPool(OpRun):  # type: ignore[misc]
    """Largest values of windows, by PyTorch."""

    op_domain = ""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        _require_plain(x, attributes)
        padded = _padded(x, attributes.get("pads"), -np.inf)
        return (functional.max_pool2d(padded, attributes["kernel_shape"], attributes.get("strides") or 1).numpy(),)


class AveragePool(OpRun):  # type: ignore[misc]
    """Means of windows, by PyTorch."""

    op_domain = ""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        _require_plain(x, attributes)
        if any(attributes.get("pads") or []) and not attributes.get("count_include_pad"):
            raise NotImplementedError("means that leave the padding out")
        padded = _padded(x, attributes.get("pads"), 0.0)
        return (functional.avg_pool2d(padded, attributes["kernel_shape"], attributes.get("strides") or 1).numpy(),)


class BatchNormalization(OpRun):  # type: ignore[misc]
    """Normalization by stored statistics: ONNX 1.23's own evaluator takes the batch's where the opset is below 14."""

    op_domain = ""

    def _run(self, x: Array, *parameters: Array, **attributes: Any) -> tuple[Array]:
        scale, shift, mean, variance = (value.reshape(-1, *[1] * (x.ndim - 2)) for value in parameters)
        return ((x - mean) / np.sqrt(variance + attributes["epsilon"]) * scale + shift,)


def _require_plain(x: Array, attributes: dict[str, Any]) -> None:
    dilated = any(dilation != 1 for dilation in attributes.get("dilations") or [])
    automatic = attributes.get("auto_pad") not in {None, "NOTSET"}
    if x.ndim != _RANK or automatic or dilated or attributes.get("ceil_mode"):
        raise NotImplementedError("other windows than plain ones")


def _padded(x: Array, pads: Sequence[int] | None, fill: float) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(x))
    if not pads:
        return tensor
    ends = np.array(pads).reshape(2, -1)
    return functional.pad(tensor, ends.T[::-1].ravel().tolist(), value=fill)
