"""Rewrite QONNX's quantizers, which Brevitas and FINN export, into standard ONNX operators.

The formulas are those of QONNX's operator documents (fastmachinelearning/qonnx, docs/qonnx-custom-ops).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from onnx import helper, numpy_helper

from schedules.errors import UserError

Array = npt.NDArray[Any]
#: One set of operators under the names that it had over the years.
DOMAINS = frozenset({"qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"})
_ROUNDINGS = {"ROUND": "Round", "HALF_EVEN": "Round", "CEIL": "Ceil", "FLOOR": "Floor"}


def is_qonnx(domain: str, operator: str) -> bool:
    """Tell whether an operator is one of QONNX's that is known here, if only to be refused."""
    return domain in DOMAINS and operator in _REWRITES


def rewrite_qonnx(model: Any) -> None:
    """Replace every QONNX operator of a model by standard ones, in place.

    Parameters
    ----------
    model
        Of opset 13 or later, its constants folded: bit widths must be initializers.

    Raises
    ------
    UserError
        For operators, bit widths and rounding modes that have no such form.
    """
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if is_qonnx(node.domain, node.op_type):
            replacement = _Replacement(node, constants)
            _REWRITES[node.op_type](replacement)
            nodes.extend(replacement.nodes)
            graph.initializer.extend(replacement.initializers)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


class _Replacement:
    """What takes the place of one node."""

    def __init__(self, node: Any, constants: Mapping[str, Array]) -> None:
        self.node = node
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._constants = constants
        self._attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}

    def add(self, operator: str, *inputs: str) -> str:
        """Append a node and return the name of its output."""
        name = f"{self.node.output[0]}/{operator}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name))
        return name

    def scalar(self, value: float) -> str:
        """Add a constant and return its name."""
        name = f"{self.node.output[0]}/constant{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def finish(self) -> None:
        """Let the last node produce what the replaced one did."""
        self.nodes[-1].output[0] = self.node.output[0]

    def constant(self, name: str) -> Array | None:
        """Return a constant input, or None if it is computed from the model's input."""
        return self._constants.get(name)

    def attribute(self, name: str) -> Any:
        """Return an attribute that the operator must have."""
        if name not in self._attributes:
            self.refuse(f"lacks the attribute '{name}'; export it again with a current Brevitas or QONNX")
        return self._attributes[name]

    def refuse(self, what: str) -> NoReturn:
        """Raise an error about the node."""
        raise UserError(f"QONNX operator {self.node.op_type} in node '{self.node.name}' {what}")


def _bipolar_quant(made: _Replacement) -> None:
    """+scale where x >= 0, else -scale."""
    x, scale = made.node.input
    one = made.scalar(1.0)
    signs = made.add("Where", made.add("GreaterOrEqual", x, made.scalar(0.0)), one, made.scalar(-1.0))
    made.add("Mul", signs, scale)
    made.finish()


def _quant(made: _Replacement) -> None:
    """``(round(clip(x / scale + zero, low, high)) - zero) * scale``."""
    x, scale, zero, bits = made.node.input
    low, high = _range(made, bits)
    mode = made.attribute("rounding_mode").decode().upper()
    if mode not in _ROUNDINGS:
        made.refuse(f"rounds by {mode}; known are {', '.join(_ROUNDINGS)}")
    offset = made.constant(zero)
    moved = offset is None or bool(offset.any())
    y = made.add("Div", x, scale)
    if moved:
        y = made.add("Add", y, zero)
    # Clipped first: what is rounded then lies between close bounds, and so takes few values.
    y = made.add(_ROUNDINGS[mode], made.add("Clip", y, made.scalar(low), made.scalar(high)))
    if moved:
        y = made.add("Sub", y, zero)
    made.add("Mul", y, scale)
    made.finish()


def _range(made: _Replacement, bits: str) -> tuple[int, int]:
    """Return the least and the greatest integer of a Quant."""
    widths = made.constant(bits)
    if widths is None or widths.size != 1 or widths.item() != int(widths.item()) or widths.item() < 1:
        made.refuse("has a bit width that is no constant positive integer; fix it before the export")
    width, narrow = int(widths.item()), bool(made.attribute("narrow"))
    if not made.attribute("signed"):
        return 0, 2**width - 1 - narrow
    if width == 1:
        made.refuse("is signed and 1 bit wide: its formula says {-1, 0}, QONNX executes ±1; export a BipolarQuant")
    return -(2 ** (width - 1)) + narrow, 2 ** (width - 1) - 1


def _trunc(made: _Replacement) -> None:
    made.refuse(
        "cuts bits off an integer sum, which is not supported; export a plain AveragePool (nn.AvgPool2d) instead"
    )


def _float_quant(made: _Replacement) -> None:
    made.refuse("rounds to a small float format, which is not supported; export that layer unquantized")


_REWRITES: dict[str, Callable[[_Replacement], None]] = {
    "BipolarQuant": _bipolar_quant,
    "Quant": _quant,
    "IntQuant": _quant,
    "Trunc": _trunc,
    "FloatQuant": _float_quant,
}
