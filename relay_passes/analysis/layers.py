"""The layers of a float graph as binarization sees them, and why each is or is not binary."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes.analysis.factors import Factors
from relay_passes.analysis.planes import Planes, planes_of
from relay_passes.analysis.value_domain import ValueDomains
from relay_passes.analysis.values import Domain, describe
from relay_passes.analysis.weight_planes import WeightPlanes, weight_planes
from relay_passes.dialect import shape_of
from relay_passes.rewrite import MAIN, array_of, bindings, is_constant, op_name

Array = npt.NDArray[Any]

#: Binary products that one layer may become. A vector popcount is worth about eleven float products on x86 with
#: AVX-512, and eight to twenty on ARM cores (docs/kernels.md): with more than ten float is faster, or as fast.
MOST_PRODUCTS = 10
_MATRIX_RANK = 2
_KINDS = {
    "relax.nn.conv1d": "conv1d",
    "relax.nn.conv2d": "conv2d",
    "relax.nn.conv3d": "conv3d",
    "relax.nn.conv1d_transpose": "transposed conv1d",
    "relax.nn.conv2d_transpose": "transposed conv2d",
    "relax.matmul": "linear",
}


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
        The weight as sign tensors, or why it is none.
    second
        The value domain of a product's second operand that depends on the input; None for layers with weights.
    factors
        What is known of few-valued operands times real factors: see :class:`Factors`; "" for other operands.
    """

    name: str
    kind: str
    weight_shape: tuple[int, ...]
    macs: int
    activations: Domain
    weight: WeightPlanes | str
    second: Domain = None
    factors: tuple[str, str] = ("", "")

    @property
    def planes(self) -> Planes | None:
        """How the input is made of sign tensors, or None if it takes other values."""
        return planes_of(self.activations)

    @property
    def second_planes(self) -> Planes | None:
        """The same of a product's second operand."""
        return planes_of(self.second)

    @property
    def bit_planes(self) -> tuple[int, int]:
        """How many sign tensors the input and the weight (or second operand) are the sums of; zeros if it is float."""
        right = self.second_planes if isinstance(self.weight, str) else self.weight
        if self.float_reason is not None or self.planes is None or right is None:
            return 0, 0
        return len(self.planes), len(right)

    @property
    def is_binary(self) -> bool:
        """Whether both operands are signs with a scale, and perhaps an offset; the input may also be zero."""
        if self.float_reason is not None or self.planes is None:
            return False
        if isinstance(self.weight, str):
            return self.planes.is_sign and self.second_planes is not None and self.second_planes.is_sign
        return self.planes.is_sign and len(self.weight) == 1

    @property
    def stores_bits(self) -> bool:
        """Whether it runs in float with a weight of two values per output channel, which a bit each can stand for."""
        return self.float_reason is not None and isinstance(self.weight, WeightPlanes) and len(self.weight) == 1

    @property
    def float_reason(self) -> str | None:
        """Why the layer stays float; None if it runs on bits."""
        if self.planes is None:
            return f"its input {self.factors[0] or takes_too_many(self.activations)}"
        right = self.second_planes if isinstance(self.weight, str) else self.weight
        if right is None or isinstance(right, str):
            return str(self.weight)
        if self.kind not in {"conv2d", "linear"} or (isinstance(self.weight, str) and self.kind != "linear"):
            return f"both operands are binary, but there is no packed kernel for a {self.kind}"
        if len(self.planes) * len(right) > MOST_PRODUCTS:
            return f"it would take {len(self.planes)} x {len(right)} binary products; float is faster"
        return None


def takes_too_many(domain: Domain) -> str:
    """Say of an operand that its values are no sum of planes."""
    return f"takes {describe(domain)}, which are no sum of a few signs"


def layer_name(node: relax.Call) -> str:
    """Return the module path that the front end put on a call, or the operator's name."""
    if node.span is not None:
        return str(node.span.source_name.name)
    return str(node.op.name).removeprefix("relax.")


def is_layer(node: relax.Expr) -> bool:
    """Tell whether a value is a convolution, or a product with a weight or between activations."""
    return op_name(node) in _KINDS


def weight_of(node: relax.Call) -> Array | None:
    """Return a layer's constant weight with its output channels first, None if it depends on the input.

    That of a product with a matrix for each group, ``(G, K, N)``, is ``(G * N, K)``, as a grouped convolution has it.
    """
    weight = node.args[1]
    if not is_constant(weight):
        return None
    values = array_of(weight)
    if op_name(node) != "relax.matmul":
        return values
    return values.swapaxes(-1, -2).reshape(-1, values.shape[-2])


def examine(node: relax.Call, activations: Domain, second: Domain = None, factors: tuple[str, str] = ("", "")) -> Layer:
    """Return what binarization needs to know of a layer whose operands take the given values."""
    weight = weight_of(node)
    depth = 0 if weight is None else math.prod(weight.shape[1:])
    if weight is None:
        depth = shape_of(node.args[0])[-1]
        verdict: WeightPlanes | str = "its weight depends on the input"
        if op_name(node) == "relax.matmul":
            alike = shape_of(node.args[0])[:-2] == shape_of(node.args[1])[:-2]
            second = second if alike else None
            verdict = (
                f"its second operand {factors[1] or takes_too_many(second)}"
                if alike
                else "its operands have different leading axes, which the packed product has no kernel for"
            )
    else:
        verdict = weight_planes(weight)
    return Layer(
        layer_name(node),
        _KINDS[str(node.op.name)],
        () if weight is None else weight.shape,
        math.prod(shape_of(node)) * depth,
        activations,
        verdict,
        second if weight is None else None,
        factors,
    )


def groups_of(node: relax.Call) -> int:
    """Return how many groups a layer's channels fall into; of a product, how many matrices it multiplies by."""
    if op_name(node) != "relax.matmul":
        return int(node.attrs.groups)
    return math.prod(shape_of(node.args[1])[:-_MATRIX_RANK]) if is_constant(node.args[1]) else 1


def layers_of(module: tvm.IRModule) -> list[Layer]:
    """Examine every layer of a float module, in order."""
    function = module[MAIN]
    domains = ValueDomains.of_function(function, proves_zeros=True)
    factors = Factors(function, domains)
    nodes = [binding.value for binding in bindings(function) if is_layer(binding.value)]
    return [examine(node, domains.of(node.args[0]), domains.of(node.args[1]), factors.of(node)) for node in nodes]
