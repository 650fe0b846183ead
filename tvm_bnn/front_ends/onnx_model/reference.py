"""What ONNX Runtime says: the reference that a compiled ONNX model is held against."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx

from relay_passes.simplify.settle_sign_zero import ONE_OF_ZERO, SignZero
from tvm_bnn.front_ends.onnx_model.constants import constant_values, simplified
from tvm_bnn.front_ends.onnx_model.double import run_double
from tvm_bnn.front_ends.onnx_model.session import session_of
from tvm_bnn.front_ends.source import Array, sign_zeros


class OnnxReference:
    """The model in ONNX Runtime, in float32, on one thread of the CPU."""

    def __init__(self, model: Any, sign_zero: SignZero = "exact") -> None:
        """Take a model of standard operators, before any simplification of ours."""
        self._signs = _signs_of_activations(model.graph)
        if sign_zero != "exact":
            model = _settled(model, self._signs, ONE_OF_ZERO[sign_zero])
            self._signs = [_unsettled(name) for name in self._signs]
        self._model = model
        self._inputs = [value.name for value in model.graph.input]
        self._outputs = [value.name for value in model.graph.output]
        observed = copy.deepcopy(model)
        known = set(self._outputs)
        observed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self._signs if name not in known)
        # Node by node, as the file has it: fusion would move values next to zero to its other side.
        self._session = session_of(observed, optimize=False)
        self._zero_signs = (0, 0)

    @property
    def name(self) -> str:
        """The framework."""
        return "ONNX Runtime"

    @property
    def examples(self) -> None:
        """ONNX files carry no inputs."""
        return

    @property
    def zero_signs(self) -> tuple[int, int]:
        """How many exact zeros reached a ``Sign`` so far, of how many values."""
        return self._zero_signs

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs for one batch."""
        results = self._session.run(self._outputs + self._signs, self._feed(inputs))
        for signs in results[len(self._outputs) :]:
            zeros, count = sign_zeros(signs)
            self._zero_signs = (self._zero_signs[0] + zeros, self._zero_signs[1] + count)
        return list(results[: len(self._outputs)])

    def joined(self, inputs: Sequence[Array], in_double: bool = False) -> None:
        """The graph was fixed to its batch."""
        del inputs, in_double

    def run_double(self, batches: Sequence[Sequence[Array]]) -> list[list[Array]] | None:
        """Return the outputs in float64, or None if an operator cannot be computed so."""
        return run_double(simplified(self._model), [self._feed(batch) for batch in batches])

    def explain(self, inputs: Sequence[Array], outputs: Sequence[Array], tolerance: float) -> None:
        """ONNX Runtime lets nobody in between its nodes."""
        del inputs, outputs, tolerance

    def undecided(self, inputs: Sequence[Array], tolerance: float) -> None:
        """Nor can anybody disturb what is in between."""
        del inputs, tolerance

    def index_limits(self) -> list[int | None]:
        """Return how many rows the tables have that the inputs index."""
        return [_rows_indexed_by(name, self._model.graph) for name in self._inputs]

    @contextmanager
    def bound(self, inputs: Sequence[Array]) -> Iterator[Callable[[], object]]:
        """Lend a function without arguments that runs one batch, with all of ONNX Runtime's optimizations."""
        session, feed = session_of(self._model, optimize=True), self._feed(inputs)
        yield lambda: session.run(self._outputs, feed)

    def _feed(self, inputs: Sequence[Array]) -> dict[str, Array]:
        return dict(zip(self._inputs, inputs, strict=True))


def _rows_indexed_by(name: str, graph: Any) -> int | None:
    """Return the least number of rows of the tables that a value indexes, perhaps as another integer type."""
    tables = {tensor.name: tensor.dims[0] for tensor in graph.initializer if len(tensor.dims)}
    names, found = {name}, []
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in names:
            names.add(node.output[0])
        elif node.op_type == "Gather" and node.input[1] in names and node.input[0] in tables:
            found.append(tables[node.input[0]])
    return min(found, default=None)


def _unsettled(name: str) -> str:
    return f"{name}_with_zeros"


def _settled(model: Any, signs: Sequence[str], of_zero: int) -> Any:
    """Return a copy of a model in which ``of_zero`` is what the given signs of zero are."""
    settled = copy.deepcopy(model)
    nodes = list(settled.graph.node)
    del settled.graph.node[:]
    for node in nodes:
        settled.graph.node.append(node)
        if node.op_type == "Sign" and node.output[0] in signs:
            name, unsettled = node.output[0], _unsettled(node.output[0])
            settled.graph.node[-1].output[0] = unsettled
            settled.graph.node.extend(_replacing_zeros(unsettled, name, of_zero))
    return settled


def _replacing_zeros(signs: str, name: str, of_zero: int) -> list[Any]:
    """Return the nodes that compute ``name``: the signs, with ``of_zero`` in place of zero."""
    is_not_zero, settled = f"{name}_is_not_zero", f"{name}_of_zero"
    return [
        onnx.helper.make_node("Cast", [signs], [is_not_zero], to=onnx.TensorProto.BOOL),
        onnx.helper.make_node(
            "Constant", [], [settled], value=onnx.helper.make_tensor("of_zero", onnx.TensorProto.FLOAT, [], [of_zero])
        ),
        onnx.helper.make_node("Where", [is_not_zero, signs, settled], [name]),
    ]


def _signs_of_activations(graph: Any) -> list[str]:
    """Return the results of ``Sign`` nodes that depend on the model's inputs."""
    constant = constant_values(graph)
    return [node.output[0] for node in graph.node if node.op_type == "Sign" and node.output[0] not in constant]
