"""From an ONNX model to a float Relax module."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import tvm
from onnx import TensorProto, helper

from schedules.errors import UserError
from tvm_bnn.front_ends.layer_names import numbered
from tvm_bnn.front_ends.onnx_model.constants import fold_constants, simplified
from tvm_bnn.front_ends.onnx_model.file import read_onnx
from tvm_bnn.front_ends.onnx_model.importer import import_onnx, known_operators
from tvm_bnn.front_ends.onnx_model.qonnx_operators import rewrite_qonnx
from tvm_bnn.front_ends.source import Imported

Model = Any
_DTYPES = {
    TensorProto.FLOAT: "float32",
    TensorProto.INT64: "int64",
    TensorProto.INT32: "int32",
    TensorProto.BOOL: "bool",
}
_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
#: Where PyTorch's exporter notes the modules that a node was traced in, outermost first, and the node itself.
_SCOPES = "pkg.torch.onnx.name_scopes"
#: Old enough for ONNX Runtime, new enough for weights that are no inputs; what differs are annotations.
_IR_VERSION = 10
_STANDARD = frozenset({"", "ai.onnx"})


class OnnxModel:
    """An ONNX file, and what becomes of it.

    Parameters
    ----------
    original
        As it was read.
    standard
        One batch where the first dimension was open, QONNX's operators written in standard ones, nodes named: what it
        means.
    """

    def __init__(self, path: Path, batch: int | None = None) -> None:
        """Read a file; an open first dimension becomes ``batch``, 1 if None.

        Raises
        ------
        UserError
            If it is no ONNX model that can be compiled.
        """
        self.original: Model = read_onnx(path)
        try:
            self.standard: Model = _standard(self.original, batch)
        except RecursionError:
            raise UserError(f"model '{path}' has more operations one behind the other than can be followed") from None

    def translate(self) -> Imported:
        """Translate the model to Relax.

        Raises
        ------
        UserError
            For shapes that contradict each other, and operators that TVM does not know.
        """
        model = simplified(self.standard)
        _refuse_unknown_operators(model)
        _make_padding_explicit(model)
        inputs = list(_inputs(model.graph))
        return Imported(
            import_onnx(model, _opset(model)),
            tuple(value.name for value in inputs),
            tuple(_extents(value) for value in inputs),
            tuple(_DTYPES[value.type.tensor_type.elem_type] for value in inputs),
            sum(len(onnx.numpy_helper.to_array(tensor).tobytes()) for tensor in self.original.graph.initializer),
        )


def _standard(original: Model, batch: int | None) -> Model:
    model = copy.deepcopy(original)
    _refuse_control_flow(model.graph)
    _fix_inputs(model.graph, batch)
    _name_nodes(model.graph)
    model.ir_version = _IR_VERSION
    fold_constants(model)
    rewrite_qonnx(model)
    return model


def _opset(model: Model) -> int:
    return next(int(item.version) for item in model.opset_import if item.domain in _STANDARD)


def _inputs(graph: Any) -> Iterator[Any]:
    """Yield a graph's inputs; old files list the weights among them."""
    weights = {tensor.name for tensor in graph.initializer}
    return (value for value in graph.input if value.name not in weights)


def _extents(value: Any) -> tuple[int, ...]:
    return tuple(extent.dim_value for extent in value.type.tensor_type.shape.dim)


def _fix_inputs(graph: Any, batch: int | None) -> None:
    """Make inputs static: an open batch becomes the one asked for. Forget the shapes that were derived from it."""
    if batch is not None and batch < 1:
        raise UserError(f"batch {batch}: at least one sample is needed")
    inputs = list(_inputs(graph))
    for value in inputs:
        tensor = value.type.tensor_type
        if tensor.elem_type not in _DTYPES:
            kind = TensorProto.DataType.Name(tensor.elem_type).lower()
            raise UserError(f"input '{value.name}' is {kind}; export the model with float32 inputs")
        for axis, extent in enumerate(tensor.shape.dim):
            if extent.dim_value <= 0 and axis > 0:
                raise UserError(
                    f"input '{value.name}' has a dynamic shape: dimension {axis} is '{extent.dim_param or '?'}'; "
                    "export with fixed shapes (only the first may be dynamic)"
                )
            if extent.dim_value <= 0:
                extent.dim_value = batch or 1
            elif axis == 0 and batch is not None and extent.dim_value != batch:
                raise UserError(
                    f"input '{value.name}' has a batch of {extent.dim_value}, not {batch}: compile it as it is, or "
                    "export it with a dynamic first dimension"
                )
    outputs = [helper.make_tensor_value_info(value.name, _element(value), None) for value in graph.output]
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.extend(inputs)
    graph.output.extend(outputs)


def _element(value: Any) -> int:
    return int(value.type.tensor_type.elem_type)


def _name_nodes(graph: Any) -> None:
    """Name every node; a layer is named after the module that its weight, or else its node, belongs to."""
    live = _live_values(graph)
    makers = {name: node for node in graph.node for name in node.output}
    weights = {tensor.name for tensor in graph.initializer}
    layers = [node for node in graph.node if node.op_type in _LAYERS]
    for index, node in enumerate(graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    found = [_module(node, live, weights, makers) or node.name for node in layers]
    for node, name in zip(layers, numbered(found), strict=True):
        node.name = name


def _live_values(graph: Any) -> set[str]:
    """Return the names of all values of a graph that depend on its inputs."""
    live = {value.name for value in graph.input}
    for node in graph.node:
        if not live.isdisjoint(node.input):
            live.update(node.output)
    return live


def _module(node: Any, live: set[str], weights: set[str], makers: dict[str, Any]) -> str:
    """Return ``features.3`` for a layer that reads ``features.3.weight``, however processed; empty if unknown."""
    for name, suffix in zip(node.input[1:], (".weight", ".bias"), strict=False):
        if name not in live:
            for origin in _origins(name, weights, makers):
                if origin.endswith(suffix):
                    return origin.removesuffix(suffix)
    scopes = next((item.value for item in node.metadata_props if item.key == _SCOPES), "")
    return "".join(re.findall(r"'([^']*)'", scopes)[-2:-1])


def _origins(name: str, weights: set[str], makers: dict[str, Any]) -> Iterator[str]:
    """Yield the initializers that a constant is computed from."""
    if name in weights:
        yield name
    elif name in makers:
        for read in makers[name].input:
            yield from _origins(read, weights, makers)


def _refuse_control_flow(graph: Any) -> None:
    for node in graph.node:
        if any(item.HasField("g") for item in node.attribute):
            raise UserError(
                f"node '{node.name}' is data-dependent control flow ({node.op_type}); only straight-line models can be "
                "compiled: export the branch you need"
            )


def _refuse_unknown_operators(model: Model) -> None:
    known = known_operators()
    for node in model.graph.node:
        if node.domain not in _STANDARD or node.op_type not in known:
            domain = "" if node.domain in _STANDARD else f"{node.domain}."
            raise UserError(
                f"operator {domain}{node.op_type} in node '{node.name}' cannot be imported by TVM {tvm.__version__}; "
                "express it with other operators"
            )


def _make_padding_explicit(model: Model) -> None:
    """Write ``auto_pad`` as numbers: TVM's importer rounds SAME_LOWER pools down, and pads them in two ways."""
    shapes = {value.name: _extents(value) for value in (*model.graph.input, *model.graph.value_info)}
    kernels = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer} | shapes
    for node in model.graph.node:
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        mode = attributes.get("auto_pad", b"NOTSET")
        if node.op_type not in {"Conv", "MaxPool", "AveragePool"} or mode == b"NOTSET":
            continue
        extents = shapes[node.input[0]][2:]
        kernel = attributes.get("kernel_shape") or kernels[node.input[1]][2:]
        ones = [1] * len(extents)
        windows = zip(extents, kernel, attributes.get("strides", ones), attributes.get("dilations", ones), strict=True)
        totals = [0 if mode == b"VALID" else _same_padding(*window) for window in windows]
        less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
        kept = [item for item in node.attribute if item.name not in {"auto_pad", "pads"}]
        pads = more + less if mode == b"SAME_LOWER" else less + more
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("pads", pads)])


def _same_padding(extent: int, kernel: int, stride: int, dilation: int) -> int:
    """Return how much must be added for a window to fit once per stride."""
    steps = -(-extent // stride)
    return max((steps - 1) * stride + dilation * (kernel - 1) + 1 - extent, 0)
