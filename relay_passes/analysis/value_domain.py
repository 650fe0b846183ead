"""Which values can a tensor take? An abstract interpretation that keeps small finite sets, and bounds otherwise.

A layer is binary because of the values its operands take, not because of how the training code spelled them.

The sign of zero counts as +1 here, as it does once a sign is a bit, *unless zeros are there by construction*: after a
relu, a clip at zero, zero padding or a sum of signs they are as frequent as any other value, and a sign of such a
tensor takes the value 0 in earnest. So it does where nothing but zeros is read: a layer without a bias, or a
normalization without an offset, is zero on what is black. An offset ends that, as every trained batch norm has one.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from tvm import relax

from relay_passes.analysis import values as v
from relay_passes.analysis.evaluate import ELEMENTWISE, Array, evaluate
from relay_passes.analysis.per_channel import Chain, integers_to, portions
from relay_passes.analysis.values import ANY, Domain, Values, listed, union
from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, array_of, bindings, is_constant, is_tensor, op_name

_MATRIX_RANK = 2
_MOVES = (
    *("reshape", "permute_dims", "expand_dims", "squeeze", "broadcast_to", "flatten", "strided_slice", "concat"),
    *("split", "max", "min", "nn.max_pool2d", "nn.dropout", "astype"),
    *("take", "flip", "tile", "repeat", "stack", "gather_elements", "index_tensor"),
)
_COMPARISONS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
#: Sums of products of few values lie on a grid, and zero is one of its points.
_SUMS = (
    *("matmul", "nn.conv1d", "nn.conv2d", "nn.conv3d", "nn.conv1d_transpose", "nn.conv2d_transpose"),
    *("bnn.conv2d", "bnn.dense", "bnn.matmul"),
)
#: Those whose weights have the output channels first, or last in a matrix.
_WITH_CHANNELS_FIRST = frozenset(f"relax.{name}" for name in ("matmul", "nn.conv1d", "nn.conv2d", "nn.conv3d"))
#: What is zero everywhere in a window or along an axis stays zero.
_MEANS = ("nn.avg_pool2d", "nn.adaptive_avg_pool2d", "mean")
_BYTES = frozenset({"uint8", "int8"})
#: What is zero everywhere is as far from its mean: the offset alone is left of it, the last operand.
_NORMS = ("nn.layer_norm", "nn.group_norm", "nn.instance_norm")
#: Activations that round to zero far from it.
_SATURATING = ("nn.gelu", "nn.gelu_tanh", "nn.silu", "sigmoid")


class ValueDomains:
    """The values of the variables seen so far, which must come in the order of their bindings."""

    def __init__(self, proves_zeros: bool = False) -> None:
        """Start with nothing known.

        Parameters
        ----------
        proves_zeros
            Whether a sign behind a layer of few-valued operands is tried on every sum that the layer can produce;
            takes channels-last layers.
        """
        self._known: dict[relax.Var, Values] = {}
        self._made: dict[relax.Var, Expr] = {}
        self._proves_zeros = proves_zeros

    @classmethod
    def of_function(cls, function: relax.Function, proves_zeros: bool = False) -> ValueDomains:
        """Return the values of everything in a straight-line function."""
        domains = cls(proves_zeros)
        domains.enter(function.params)
        for binding in bindings(function):
            domains.observe(binding.var, binding.value)
        return domains

    def enter(self, params: Sequence[relax.Var]) -> None:
        """Note a function's inputs: exact zeros are as likely there as black pixels are."""
        self._known.update(dict.fromkeys(params, Values(zeros=True)))

    def observe(self, var: relax.Var, value: Expr) -> None:
        """Derive the values of a variable from what it is bound to."""
        self._made[var] = value
        self._known[var] = self._of_call(value) if isinstance(value, relax.Call) else self.values(value)

    def of(self, value: Expr) -> Domain:
        """Return the domain of a constant or of a variable seen before."""
        return self.values(value).few

    def values(self, value: Expr) -> Values:
        """Return what is known of a constant, a tuple, or a variable seen before."""
        if is_constant(value):
            return v.of_array(array_of(value))
        if isinstance(value, relax.Tuple):
            return union(*(self.values(field) for field in value.fields))
        if isinstance(value, relax.TupleGetItem):
            return self.values(value.tuple_value)
        return self._known.get(value, ANY) if isinstance(value, relax.Var) else ANY

    def _of_call(self, node: relax.Call) -> Values:
        name = (op_name(node) or "").removeprefix("relax.")
        operands = [self.values(arg) for arg in node.args]
        if name == "sign" and self._proves_zeros and not operands[0].zeros and self._meets_zero(node.args[0]):
            operands = [dataclasses.replace(operands[0], zeros=True)]
        if name == "where":
            return union(*(self._without_compared(node, branch, operands[branch]) for branch in (1, 2)))
        if name in _RULES:
            return _RULES[name](node, operands)
        return self._of_elementwise(node) if f"relax.{name}" in ELEMENTWISE else ANY

    def _without_compared(self, where: relax.Call, branch: int, values: Values) -> Values:
        """Return a branch's values less the one that the condition rules out: ``where(s == 0, 1, s)`` is never 0."""
        condition = self._made.get(where.args[0])
        compares = {1: "relax.not_equal", 2: "relax.equal"}[branch]
        if condition is None or op_name(condition) != compares or values.few is None:
            return values
        operands = list(condition.args)
        if not any(operand.same_as(where.args[branch]) for operand in operands):
            return values
        ruled_out = [self.values(operand) for operand in operands if not operand.same_as(where.args[branch])]
        if len(ruled_out) != 1 or not ruled_out[0].is_one_number:
            return values
        left = values.few - (ruled_out[0].few or frozenset())
        return listed(left) if left else values

    def _meets_zero(self, x: Expr) -> bool:
        """Tell whether a value that one layer's sum, or a byte of the input, decides is zero for one that occurs."""
        chain = Chain(
            lambda value: self._made.get(value, value), lambda made: _is_byte(made) or self._is_exact_sum(made)
        )
        source = chain.source(x)
        if source is None:
            return False
        if source not in self._made:
            return bool((chain.of_sums(x, source, _all_bytes(str(source.ty.dtype)), slice(None)) == 0).any())
        layer = self._made[source]
        sums, scales = self._sums(layer)
        with np.errstate(all="ignore"):
            return any(
                bool((chain.of_sums(x, source, sums[:, None] * scale[portion], portion) == 0).any())
                for scale in scales
                for portion in portions(len(scale), len(sums))
            )

    def _is_exact_sum(self, made: Expr) -> bool:
        """Tell whether a call is a layer of signs and signs with a scale per output channel."""
        name = op_name(made)
        if name in {"relax.bnn.conv2d", "relax.bnn.dense"}:
            return True
        if name not in {"relax.nn.conv2d", "relax.matmul"} or not is_constant(made.args[1]):
            return False
        x = self.of(made.args[0])
        return x is not None and {abs(value) for value in x} <= {0.0, 1.0} and _scale_of(made) is not None

    def _sums(self, layer: relax.Call) -> tuple[Array, Array]:
        """Return the integers that a layer sums up to, and their ``(matrices, channels)`` scales in its dtype.

        A layer has one matrix, unless it is a product with a matrix for each group.
        """
        weight = array_of(layer.args[1])
        scale = _scale_of(layer) if op_name(layer) in {"relax.nn.conv2d", "relax.matmul"} else np.ones(len(weight))
        scales = np.asarray(scale, str(layer.ty.dtype))
        return integers_to(weight.size // len(scales)), scales.reshape(-1, shape_of(layer)[-1])

    def _of_elementwise(self, node: relax.Call) -> Values:
        tensors = [arg for arg in node.args if is_tensor(arg)]
        operands = [self.values(arg) for arg in tensors]
        if all(operand.few is not None for operand in operands):
            return _tried(node, tensors, [sorted(operand.few or ()) for operand in operands])
        bounds = _BOUNDS.get(str(node.op.name).removeprefix("relax."))
        return ANY if bounds is None else bounds(node, operands)


def _is_byte(value: Expr) -> bool:
    """Tell whether a value is an input of 8-bit integers, all of which may occur."""
    return isinstance(value, relax.Var) and is_tensor(value) and str(value.ty.dtype) in _BYTES


def _all_bytes(dtype: str) -> Array:
    """Return every value of a type, ``(256, 1)``."""
    limits = np.iinfo(dtype)
    return np.arange(limits.min, limits.max + 1).astype(dtype)[:, None]


def _scale_of(layer: relax.Call) -> Array | None:
    """Return the magnitude that each output channel's weights have in common, None if there is no such."""
    weight = array_of(layer.args[1])
    is_product = op_name(layer) == "relax.matmul"
    rows = weight.swapaxes(-1, -2).reshape(-1, weight.shape[-2]) if is_product else weight.reshape(len(weight), -1)
    magnitudes = np.abs(rows)
    return magnitudes[:, 0] if (magnitudes == magnitudes[:, :1]).all() else None


def _sums_meet_zero(node: relax.Call, operands: Sequence[Values]) -> bool:
    """Tell whether a layer adds up zeros alone, or few values that may cancel: those of its input and of a channel."""
    if any(values.zeros and not is_constant(arg) for values, arg in zip(operands, node.args, strict=True)):
        return True
    if operands[0].few is None:
        return False
    if operands[1].few is not None:
        return True
    return op_name(node) in _WITH_CHANNELS_FIRST and is_constant(node.args[1]) and _scale_of(node) is not None


_Rule = Callable[[relax.Call, Sequence[Values]], Values]

_RULES: dict[str, _Rule] = {
    "sign": lambda _, operands: v.sign_of(operands[0]),
    "bnn.sign": lambda *_: listed([-1.0, 1.0]),
    **dict.fromkeys(_COMPARISONS, lambda _, operands: listed([0.0, 1.0])),
    **dict.fromkeys(_MOVES, lambda _, operands: operands[0]),
    **dict.fromkeys(_SUMS, lambda node, operands: Values(zeros=_sums_meet_zero(node, operands))),
    **dict.fromkeys(_MEANS, lambda _, operands: v.mean_of(operands[0])),
    "sum": lambda _, operands: v.sum_of(operands[0]),
    **dict.fromkeys(_NORMS, lambda _, operands: Values(zeros=operands[0].zeros and operands[-1].zeros)),
    **dict.fromkeys(_SATURATING, lambda _, operands: Values(zeros=True)),
    **dict.fromkeys(("zeros", "zeros_like"), lambda _, operands: listed([0.0])),
    **dict.fromkeys(("ones", "ones_like"), lambda _, operands: listed([1.0])),
    **dict.fromkeys(("full", "full_like"), lambda _, operands: operands[1]),
    "slice_scatter": lambda _, operands: union(*operands[:2]),
    "image.resize2d": lambda node, operands: (
        operands[0] if str(node.attrs.method) == "nearest_neighbor" else Values(zeros=operands[0].zeros)
    ),
    "nn.pad": lambda node, operands: union(operands[0], listed([float(node.attrs.pad_value)])),
}


def _tried(node: relax.Call, tensors: Sequence[Expr], values: Sequence[Sequence[float]]) -> Values:
    """Try every combination of the operands' few values."""
    combinations = list(itertools.product(*values))
    operands = [
        np.array([combination[k] for combination in combinations]).astype(str(arg.ty.dtype))
        for k, arg in enumerate(tensors)
    ]
    return listed(np.unique(evaluate(node, operands).astype(float)).tolist())


def _clip(node: relax.Call, operands: Sequence[Values]) -> Values:
    low, high = (float(bound.value) for bound in node.args[1:])
    return v.clip(operands[0], low, high)


def _extreme(pick: Callable[..., float]) -> _Rule:
    def bound(_node: relax.Call, operands: Sequence[Values]) -> Values:
        low, high = (pick(getattr(operand, end) for operand in operands) for end in ("low", "high"))
        return Values(None, low, high, any(operand.zeros for operand in operands))

    return bound


def _product(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound a product or a quotient: zeros stay, and so does a common sign."""
    if op_name(node) == "relax.multiply" and any(operand.few == frozenset({0.0}) for operand in operands):
        return listed([0.0])
    if any(operand.is_one_number for operand in operands):
        return _moved(node, operands, any(x.zeros for x in operands if not x.is_one_number))
    zeros = operands[0].zeros or (operands[1].zeros and op_name(node) == "relax.multiply")
    return Values(None, 0 if all(operand.low >= 0 for operand in operands) else -math.inf, math.inf, zeros)


def _sum(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound a sum or a difference: zeros stay where both have them, or where zero is added."""
    zeros = all(operand.zeros for operand in operands)
    if any(operand.is_one_number for operand in operands):
        return _moved(node, operands, zeros)
    return Values(zeros=zeros)


def _multiply_add(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound a product and a sum: zeros stay where nothing is added to them."""
    x, a, b = operands
    zeros = (x.zeros or a.zeros) and b.zeros
    return _moved(node, operands, zeros) if a.is_one_number and b.is_one_number else Values(zeros=zeros)


def _moved(node: relax.Call, operands: Sequence[Values], zeros: bool) -> Values:
    """Return the bounds of a tensor scaled or shifted by one number."""
    dtype = str(node.args[0].ty.dtype)
    if not dtype.startswith("float"):
        dtype = "float64"  # a bound may be infinite
    corners = [
        evaluate(node, [np.array(end, dtype) for end in ends]).astype(float).item()
        for ends in itertools.product(*((operand.low, operand.high) for operand in operands))
    ]
    if any(math.isnan(corner) for corner in corners):
        return Values(zeros=zeros)
    return Values(None, min(corners), max(corners), zeros)


_BOUNDS: dict[str, _Rule] = {
    "nn.relu": lambda _, operands: v.relu(operands[0]),
    "clip": _clip,
    "abs": lambda _, operands: v.not_below_zero(operands[0]),
    "exp": lambda _, operands: Values(None, 0, math.inf),
    "negative": lambda _, operands: v.negative(operands[0]),
    **dict.fromkeys(("sqrt", "tanh", "nn.leakyrelu"), lambda _, operands: operands[0]),
    **dict.fromkeys(("round", "floor", "ceil"), lambda _, operands: v.whole(operands[0])),
    "maximum": _extreme(max),
    "minimum": _extreme(min),
    **dict.fromkeys(("multiply", "divide"), _product),
    **dict.fromkeys(("add", "subtract"), _sum),
    "bnn.multiply_add": _multiply_add,
}
