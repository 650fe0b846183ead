"""Let ONNX Runtime evaluate whatever part of an ONNX graph depends on constants alone.

After this a weight is a tensor whose values can be looked at, and the arithmetic on shapes that exporters leave behind
is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnx.shape_inference
from onnx import helper, numpy_helper

from schedules.errors import UserError
from tvm_bnn.front_ends.first_line import first_line
from tvm_bnn.front_ends.onnx_model.session import session_of

_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
_STANDARD = frozenset({"", "ai.onnx"})


def constant_values(graph: Any) -> set[str]:
    """Return the names of all values of a graph that depend on constants alone."""
    known = {tensor.name for tensor in graph.initializer} | {""}
    for node in graph.node:
        plain = node.domain in _STANDARD and node.op_type not in _RANDOM
        if plain and known.issuperset(node.input) and not any(item.HasField("g") for item in node.attribute):
            known.update(node.output)
    return known


def fold_constants(model: Any) -> bool:
    """Replace nodes with constant results by initializers, in place; tell whether there were any."""
    graph = model.graph
    known = constant_values(graph)
    constant = [node for node in graph.node if node.output[0] in known]
    if not constant:
        return False
    others = [node for node in graph.node if node.output[0] not in known]
    wanted = {name for node in others for name in node.input} | {value.name for value in graph.output}
    made = [name for node in constant for name in node.output if name and name in wanted]
    read = {name for node in constant for name in node.input}
    evaluated = helper.make_graph(
        constant,
        "constants",
        [],
        [onnx.ValueInfoProto(name=name) for name in made],
        [tensor for tensor in graph.initializer if tensor.name in read],
    )
    if made:
        small = helper.make_model(evaluated, opset_imports=model.opset_import, ir_version=model.ir_version)
        arrays = session_of(_typed(small), optimize=False).run(made, {})
        graph.initializer.extend(
            numpy_helper.from_array(np.asarray(array), name) for name, array in zip(made, arrays, strict=True)
        )
    kept = [tensor for tensor in graph.initializer if tensor.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(others)
    graph.initializer.extend(kept)
    return True


def fold_shapes(model: Any) -> bool:
    """Replace ``Shape`` nodes of tensors with known shapes by initializers, in place; tell whether there were any."""
    graph = model.graph
    shapes = dict(_static_shapes(graph))
    found = [node for node in graph.node if node.op_type == "Shape" and node.input[0] in shapes]
    for node in found:
        attributes = {item.name: item.i for item in node.attribute}
        extents = shapes[node.input[0]][attributes.get("start", 0) : attributes.get("end")]
        graph.initializer.append(numpy_helper.from_array(np.array(extents, np.int64), node.output[0]))
        graph.node.remove(node)
    return bool(found)


def with_shapes(model: Any) -> Any:
    """Return the model with the shapes of all its values.

    Raises
    ------
    UserError
        If the shapes contradict each other.
    """
    try:
        return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:
        raise UserError(f"the model's shapes do not fit together: {first_line(error)}") from error


def simplified(model: Any) -> Any:
    """Return the model with shapes, and without anything that is constant once its inputs' shapes are."""
    inferred = with_shapes(model)
    while fold_shapes(inferred) | fold_constants(inferred):
        inferred = with_shapes(inferred)
    return inferred


def _typed(model: Any) -> Any:
    """Return a model whose outputs have types, which ONNX Runtime asks for."""
    inferred = onnx.shape_inference.infer_shapes(model)
    types = {value.name: value for value in inferred.graph.value_info}
    outputs = [types.get(value.name, value) for value in inferred.graph.output]
    del inferred.graph.output[:]
    inferred.graph.output.extend(outputs)
    return inferred


def _static_shapes(graph: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    for value in (*graph.input, *graph.value_info):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(extent.HasField("dim_value") for extent in tensor.shape.dim):
            yield value.name, tuple(extent.dim_value for extent in tensor.shape.dim)
