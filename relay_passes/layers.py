"""The layers of a float graph as binarization sees them, and why each is or is not binary."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes.dialect import shape_of
from relay_passes.rewrite import MAIN, array_of, bindings, is_constant, op_name
from relay_passes.value_domain import ValueDomains
from relay_passes.values import Domain, describe

Array = npt.NDArray[Any]

#: The straight-through idiom leaves |w| off its channel's scale by rounding: 1e-7 of 1, that is up to 6e-5 of a scale
#: of a few thousandths.
SCALE_TOLERANCE = 1e-4
_MATRIX_RANK = 2
#: A channel's values are listed up to so many, and counted beyond.
_MOST_LISTED = 4
_KINDS = {
    "relax.nn.conv1d": "conv1d",
    "relax.nn.conv2d": "conv2d",
    "relax.nn.conv3d": "conv3d",
    "relax.nn.conv1d_transpose": "transposed conv1d",
    "relax.nn.conv2d_transpose": "transposed conv2d",
    "relax.matmul": "linear",
}


@dataclasses.dataclass(frozen=True)
class BinaryWeight:
    """A weight tensor of two values per output channel: ``offset + scale * signs``.

    ``signs`` is its (O, ...) sign tensor, ``scale`` and ``offset`` are (O,); float32. The offset of ±scale is 0.
    """

    signs: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Planes:
    """A tensor of two or three values as sign tensors: ``offset + scale * (sum of planes)``.

    Two values ``low < high`` need one plane, the sign of ``x - offset``. Three values -b, 0, b need two: the sign with
    zeros counted as +1 and the sign with zeros counted as -1 add up to twice the ternary sign.
    """

    offset: float
    scale: float
    zeros: tuple[int, ...]


def planes_of(domain: Domain) -> Planes | None:
    """Return how a tensor of these values is made of sign tensors, or None if it is not."""
    match sorted(domain) if domain is not None else []:
        case [low, high]:
            return Planes((low + high) / 2, (high - low) / 2, (1,))
        case [low, 0.0, high] if low == -high:
            return Planes(0.0, high / 2, (1, -1))
    return None


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution or linear layer of the float graph.

    Parameters
    ----------
    name
        The module's path in the PyTorch model.
    kind
        ``conv2d``, ``linear``, …
    weight_shape
        ``(O, ...)``, empty if the weight is no constant.
    macs
        Multiply-accumulates of one call.
    activations
        The input's value domain.
    weight
        The binary weight, or why it is not binary.
    second
        The value domain of a product's second operand that depends on the input; None for layers with weights.
    """

    name: str
    kind: str
    weight_shape: tuple[int, ...]
    macs: int
    activations: Domain
    weight: BinaryWeight | str
    second: Domain = None

    @property
    def float_reason(self) -> str | None:
        """Why the layer stays float; None if it is binary."""
        if self.planes is None:
            return f"its input takes {describe(self.activations)}, not two values or -b, 0, b"
        if isinstance(self.weight, str) and planes_of(self.second) is None:
            return self.weight
        if self.kind not in {"conv2d", "linear"} or (isinstance(self.weight, str) and self.kind != "linear"):
            return f"both operands are binary, but there is no packed kernel for a {self.kind}"
        return None

    @property
    def planes(self) -> Planes | None:
        """How the input is made of sign tensors, or None if it takes other values."""
        return planes_of(self.activations)


def layer_name(node: relax.Call) -> str:
    """Return the module path that the front end put on a call, or the operator's name."""
    if node.span is not None:
        return str(node.span.source_name.name)
    return str(node.op.name).removeprefix("relax.")


def is_layer(node: relax.Expr) -> bool:
    """Tell whether a value is a convolution, or a product with a weight or between activations."""
    return op_name(node) in _KINDS


def weight_of(node: relax.Call) -> Array | None:
    """Return a layer's constant weight with its output channels first, None if it depends on the input."""
    weight = node.args[1]
    if not is_constant(weight):
        return None
    values = array_of(weight)
    return values.T if op_name(node) == "relax.matmul" and values.ndim == _MATRIX_RANK else values


def binary_weight(weight: Array) -> BinaryWeight | str:
    """Split a weight into signs, and a scale and an offset per output channel, or say why that is impossible.

    A channel of one value only, zeros for instance, is ±that value, with positive signs if it is zero.
    """
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    low, high = rows.min(axis=1), rows.max(axis=1)
    magnitude = np.abs(rows).mean(axis=1)
    opposite = (np.abs(np.abs(rows) - magnitude[:, None]) <= SCALE_TOLERANCE * magnitude[:, None]).all(axis=1)
    middle = np.where(opposite, 0.0, (low + high) / 2)
    half = np.where(opposite, magnitude, (high - low) / 2)
    signs = np.where(rows < middle[:, None], -1.0, 1.0)
    off = np.abs(rows - middle[:, None] - half[:, None] * signs) > SCALE_TOLERANCE * np.abs(rows).max(axis=1)[:, None]
    if off.any():
        channel = int(off.any(axis=1).argmax())
        found = np.unique(rows[channel])
        zeros = int((rows == 0).sum())
        values = describe(frozenset(found.tolist())) if len(found) <= _MOST_LISTED else f"{len(found)} different values"
        return f"its weights take more than two values: channel {channel} holds {values}" + (
            f", and {zeros} weights are zero" if zeros else ""
        )
    shaped = signs.astype(np.float32).reshape(weight.shape)
    return BinaryWeight(shaped, half.astype(np.float32), middle.astype(np.float32))


def examine(node: relax.Call, activations: Domain, second: Domain = None) -> Layer:
    """Return what binarization needs to know of a layer whose operands take the given values."""
    weight = weight_of(node)
    depth = 0 if weight is None else math.prod(weight.shape[1:])
    if weight is None:
        depth = shape_of(node.args[0])[-1]
        verdict: BinaryWeight | str = "its weight depends on the input"
        if op_name(node) == "relax.matmul":
            alike = shape_of(node.args[0])[:-2] == shape_of(node.args[1])[:-2]
            second = second if alike else None
            verdict = (
                f"its second operand takes {describe(second)}, not two values or -b, 0, b"
                if alike
                else "its operands have different leading axes, which the packed product has no kernel for"
            )
    else:
        verdict = binary_weight(weight)
        if not isinstance(verdict, str) and verdict.offset.any() and groups_of(node) > 1:
            verdict = "its weights take two values with an offset, which grouped layers have no kernel for"
    return Layer(
        layer_name(node),
        _KINDS[str(node.op.name)],
        () if weight is None else weight.shape,
        math.prod(shape_of(node)) * depth,
        activations,
        verdict,
        second if weight is None else None,
    )


def groups_of(node: relax.Call) -> int:
    """Return how many groups a layer's channels fall into; a matrix product has one."""
    return 1 if op_name(node) == "relax.matmul" else int(node.attrs.groups)


def layers_of(module: tvm.IRModule) -> list[Layer]:
    """Examine every layer of a float module, in order."""
    function = module[MAIN]
    domains = ValueDomains.of_function(function)
    nodes = [binding.value for binding in bindings(function) if is_layer(binding.value)]
    return [examine(node, *map(domains.of, node.args)) for node in nodes]
