"""TVM 0.27's ONNX importer, with other translations where its own cannot be looked into.

* It binds no results to variables: a value that is read twice would be computed twice.
* ``Clip`` and ``Pad`` become loop nests at once; ``Min``, ``Max`` and ``Sum`` stack their operands and reduce them;
  ``PRelu`` has an operator of its own; casts to integers pass through a chain of selections. The passes follow values
  through plain operators only.
* It prints to standard output, where the report goes, before it raises.
"""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import tvm
from onnx import helper
from tvm import relax
from tvm.relax.frontend.onnx.onnx_frontend import ONNXGraphImporter

from relay_passes.analysis.layers import is_layer
from relay_passes.dialect import dtype_of, shape_of
from relay_passes.rewrite import MAIN, array_of, bindings, is_constant, op_name
from schedules.errors import UserError
from tvm_bnn.front_ends.first_line import first_line
from tvm_bnn.front_ends.layer_names import with_layer_names

Expr = Any
_Converter = Callable[[Any, Sequence[Expr], dict[str, Any]], Expr]


def import_onnx(model: Any, opset: int) -> tvm.IRModule:
    """Translate an ONNX model to Relax; each layer's call carries its node's name in its span.

    Parameters
    ----------
    model
        Of standard operators, with shapes.

    Raises
    ------
    UserError
        For operators that TVM does not know, or knows only as loops.
    """
    importer = _Importer()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            module = importer.from_onnx(model.graph, opset)
    except Exception as error:
        importer.abandon()
        raise UserError(f"{importer.place} cannot be imported by TVM {tvm.__version__}: {first_line(error)}") from error
    importer.refuse_mistranslations(model.graph)
    origins = importer.origins(module)
    for binding in bindings(module[MAIN]):
        if op_name(binding.value) == "relax.call_tir":
            raise UserError(
                f"{origins[binding.var][0]} is known to TVM {tvm.__version__} as a loop nest only, which cannot be "
                "optimized; express it with other operators"
            )
    names = {binding.var: origins[binding.var][1] for binding in bindings(module[MAIN]) if is_layer(binding.value)}
    return with_layer_names(module, names)


class _Importer(ONNXGraphImporter):  # type: ignore[misc]
    """Binds every node's result, and remembers which node a binding comes from."""

    def __init__(self) -> None:
        super().__init__({}, {})
        self._results: dict[relax.Var, tuple[str, str]] = {}
        self.place = "the model"
        self._started = False

    def abandon(self) -> None:
        """Close the block that TVM leaves open where a translation fails: it would complain on standard error."""
        if self._started:
            self.bb._end_block()

    def refuse_mistranslations(self, graph: Any) -> None:
        """Raise an error if a value has another shape or type than ONNX says."""
        makers = {name: node for node in graph.node for name in node.output}
        for value in (*graph.value_info, *graph.output):
            made, tensor = self._nodes.get(value.name), value.type.tensor_type
            if value.name not in makers or not isinstance(getattr(made, "ty", None), relax.TensorType):
                continue
            expected = tuple(extent.dim_value for extent in tensor.shape.dim), dtype_name(tensor.elem_type)
            found = shape_of(made), dtype_of(made)
            if found != expected:
                node = makers[value.name]
                raise UserError(
                    f"operator {node.op_type} in node '{node.name}' is mistranslated by TVM {tvm.__version__}, to "
                    f"{found[1]} {found[0]} from {expected[1]} {expected[0]}; express it with other operators"
                )

    def origins(self, module: tvm.IRModule) -> dict[relax.Var, tuple[str, str]]:
        """Return, for every variable of the module, a description of its node, and the node's name.

        Nodes are translated one by one: what is bound before a node's result, and after the last one's, is its own.
        """
        found: dict[relax.Var, tuple[str, str]] = {}
        waiting: list[relax.Var] = []
        for binding in bindings(module[MAIN]):
            waiting.append(binding.var)
            if binding.var in self._results:
                found.update(dict.fromkeys(waiting, self._results[binding.var]))
                waiting = []
        return found | dict.fromkeys(waiting, ("the model's end", "output"))

    def _convert_operator(self, op_name: str, inputs: Sequence[Expr], attrs: dict[str, Any], opset: int) -> Expr:
        name = str(attrs["tvm_custom"]["name"])
        self._started = True
        self.place = f"operator {op_name} in node '{name}'"
        if op_name in _CONVERTERS:
            value = _CONVERTERS[op_name](self.bb, inputs, attrs)
        else:
            value = super()._convert_operator(op_name, inputs, attrs, opset)
        if isinstance(value, relax.Call):
            value = self.bb.emit(value)
        if isinstance(value, relax.Var):
            self._results.setdefault(value, (self.place, name))
        return value


def dtype_name(element: int) -> str:
    """Return ``float32`` for ONNX's number of that type."""
    return str(helper.tensor_dtype_to_np_dtype(element))


def _clip(builder: Any, inputs: Sequence[Expr], _attrs: dict[str, Any]) -> Expr:
    x, low, high = inputs[0], inputs[1], inputs[2]
    if not all(bound is None or is_constant(bound) for bound in (low, high)):
        for bound, limit in ((low, relax.op.maximum), (high, relax.op.minimum)):
            x = x if bound is None else builder.emit(limit(x, bound))
        return x
    ends = [
        default if bound is None or array_of(bound) != array_of(bound) else array_of(bound).item()
        for bound, default in ((low, float("-inf")), (high, float("inf")))
    ]
    return relax.op.clip(x, *ends)


def _in_pairs(operator: Callable[[Expr, Expr], Expr]) -> _Converter:
    def convert(builder: Any, inputs: Sequence[Expr], _attrs: dict[str, Any]) -> Expr:
        return functools.reduce(lambda left, right: builder.emit(operator(left, right)), inputs)

    return convert


def _cast(_builder: Any, inputs: Sequence[Expr], attrs: dict[str, Any]) -> Expr:
    """What is out of an integer's range has no defined result."""
    return relax.op.astype(inputs[0], dtype_name(attrs["to"]))


def _prelu(builder: Any, inputs: Sequence[Expr], _attrs: dict[str, Any]) -> Expr:
    x, slope = inputs[0], inputs[1]
    positive = builder.emit(relax.op.greater(x, relax.const(0, str(x.ty.dtype))))
    return relax.op.where(positive, x, builder.emit(relax.op.multiply(x, slope)))


_PAD_MODES = {b"constant": "constant", b"reflect": "reflect", b"edge": "replicate", b"wrap": "circular"}


def _pad(_builder: Any, inputs: Sequence[Expr], attrs: dict[str, Any]) -> Expr:
    x, pads, value, axes = inputs[0], inputs[1], inputs[2], inputs[3]
    if not is_constant(pads) or not (value is None or is_constant(value)):
        raise ValueError("how much is padded, and with what, must be constant")
    rank = len(x.ty.shape)
    widths = array_of(pads).reshape(2, -1).T.tolist()
    padded = range(rank) if axes is None else [int(axis) % rank for axis in array_of(axes)]
    by_axis = dict(zip(padded, widths, strict=True))
    flat = [int(width) for axis in range(rank) for width in by_axis.get(axis, (0, 0))]
    fill = 0.0 if value is None else float(array_of(value).item())
    return relax.op.nn.pad(x, flat, _PAD_MODES[attrs.get("mode", b"constant")], fill)


def _batch_normalization(builder: Any, inputs: Sequence[Expr], attrs: dict[str, Any]) -> Expr:
    if attrs.get("training_mode", 0):
        raise ValueError("it is in training mode; export the model after model.eval()")
    x, scale, shift, mean, variance = (inputs[index] for index in range(5))
    epsilon = float(attrs.get("epsilon", 1e-5))
    normalized = relax.op.nn.batch_norm(x, scale, shift, mean, variance, 1, epsilon, training=False)
    return builder.emit(relax.TupleGetItem(builder.emit(normalized), 0))


def _dropout(_builder: Any, inputs: Sequence[Expr], _attrs: dict[str, Any]) -> Expr:
    training = inputs[2]
    if training is not None and (not is_constant(training) or array_of(training).any()):
        raise ValueError("it is in training mode; export the model after model.eval()")
    return inputs[0]


def _gather(_builder: Any, inputs: Sequence[Expr], attrs: dict[str, Any]) -> Expr:
    """Negative indices count from the end; beyond it, nothing is promised, but nothing must crash either."""
    return relax.op.take(inputs[0], inputs[1], attrs.get("axis", 0), mode="wrap")


_CONVERTERS: dict[str, _Converter] = {
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Clip": _clip,
    "Dropout": _dropout,
    "Gather": _gather,
    "Max": _in_pairs(relax.op.maximum),
    "Min": _in_pairs(relax.op.minimum),
    "PRelu": _prelu,
    "Pad": _pad,
    "Sum": _in_pairs(relax.op.add),
}


def known_operators() -> frozenset[str]:
    """Return the standard operators that TVM's importer knows."""
    from tvm.relax.frontend.onnx import onnx_frontend

    return frozenset(onnx_frontend._get_convert_map())
