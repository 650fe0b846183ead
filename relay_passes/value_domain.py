"""Which values can a tensor take? An abstract interpretation that keeps small finite sets, and ranges otherwise.

A layer is binary because of the values its operands take, not because of how the training code spelled them.

The sign of zero counts as +1 here, as it does once a sign is a bit, *unless zeros are there by construction*: after a
relu, a clip at zero, zero padding or a sum of signs they are as frequent as any other value, and a sign of such a tensor takes the value
0 in earnest.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from tvm import relax

from relay_passes.evaluate import ELEMENTWISE, evaluate
from relay_passes.rewrite import Expr, array_of, bindings, is_constant, op_name

#: The values a tensor can take; None stands for too many to list.
Domain: TypeAlias = frozenset[float] | None

MOST_VALUES = 16
_COMPARISONS = frozenset(
    f"relax.{name}" for name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
)
_MOVES = frozenset(
    f"relax.{name}"
    for name in (
        *("reshape", "permute_dims", "expand_dims", "squeeze", "broadcast_to", "flatten", "strided_slice", "concat"),
        *("split", "max", "min", "nn.max_pool2d", "nn.dropout", "astype"),
    )
)
#: Sums of products of few values lie on a grid, and zero is one of its points.
_SUMS = frozenset(
    f"relax.{name}"
    for name in (
        *("matmul", "nn.conv1d", "nn.conv2d", "nn.conv3d", "nn.conv1d_transpose", "nn.conv2d_transpose"),
        *("bnn.conv2d", "bnn.dense", "bnn.matmul"),
    )
)
#: Activations that round to zero far from it.
_SATURATING = frozenset({"relax.nn.gelu", "relax.nn.gelu_tanh", "relax.nn.silu"})
_SIGNS = frozenset({"relax.sign", "relax.bnn.sign"})


@dataclasses.dataclass(frozen=True)
class Values:
    """What is known of a tensor's values.

    Parameters
    ----------
    few
        All of them, if they are few.
    low, high
        Bounds.
    zeros
        Whether exact zeros are there by construction.
    """

    few: Domain = None
    low: float = -math.inf
    high: float = math.inf
    zeros: bool = False


ANY = Values()
_FILLED = {
    **dict.fromkeys(("relax.zeros", "relax.zeros_like"), Values(frozenset({0.0}), 0, 0, zeros=True)),
    **dict.fromkeys(("relax.ones", "relax.ones_like"), Values(frozenset({1.0}), 1, 1)),
}


def listed(values: Sequence[float] | frozenset[float]) -> Values:
    """Return what is known of a tensor that takes exactly these values, which may be many."""
    few = frozenset(values)
    return Values(few if len(few) <= MOST_VALUES else None, min(few), max(few), 0.0 in few)


def union(*parts: Values) -> Values:
    """Return what is known of a tensor whose values come from any of several."""
    few = None
    if all(part.few is not None for part in parts):
        joined = frozenset(itertools.chain.from_iterable(part.few or () for part in parts))
        few = joined if len(joined) <= MOST_VALUES else None
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    return Values(few, low, high, any(part.zeros for part in parts))


def sign_of(x: Values) -> Values:
    """Return what is known of a sign: 0 is among its values only if zeros are there by construction."""
    if x.few is not None:
        return listed(frozenset(float(np.sign(value)) for value in x.few))
    negative, positive = ([-1.0] if x.low < 0 else []), ([1.0] if x.high > 0 else [])
    return listed(negative + ([0.0] if x.zeros or not (negative or positive) else []) + positive)


class ValueDomains:
    """The values of the variables seen so far, which must come in the order of their bindings."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self._known: dict[relax.Var, Values] = {}

    @classmethod
    def of_function(cls, function: relax.Function) -> ValueDomains:
        """Return the values of everything in a straight-line function."""
        domains = cls()
        for binding in bindings(function):
            domains.observe(binding.var, binding.value)
        return domains

    def observe(self, var: relax.Var, value: Expr) -> None:
        """Derive the values of a variable from what it is bound to."""
        self._known[var] = self._of_call(value) if isinstance(value, relax.Call) else self.values(value)

    def of(self, value: Expr) -> Domain:
        """Return the domain of a constant or of a variable seen before."""
        return self.values(value).few

    def values(self, value: Expr) -> Values:
        """Return what is known of a constant, a tuple, or a variable seen before."""
        if is_constant(value):
            return _of_constant(value)
        if isinstance(value, relax.Tuple):
            return union(*(self.values(field) for field in value.fields))
        if isinstance(value, relax.TupleGetItem):
            return self.values(value.tuple_value)
        return self._known.get(value, ANY) if isinstance(value, relax.Var) else ANY

    def _of_call(self, node: relax.Call) -> Values:
        name = op_name(node)
        if name in _SIGNS:
            return sign_of(self.values(node.args[0]))
        if name in _COMPARISONS:
            return listed([0.0, 1.0])
        if name == "relax.where":
            return union(*map(self.values, node.args[1:]))
        if name == "relax.nn.pad":
            return union(self.values(node.args[0]), listed([float(node.attrs.pad_value)]))
        if name in _FILLED:
            return _FILLED[name]
        if name in {"relax.full", "relax.full_like"}:
            return self.values(node.args[1])
        if name in _SUMS:
            return Values(zeros=all(self.of(arg) is not None for arg in node.args))
        if name in _SATURATING:
            return Values(zeros=True)
        return self.values(node.args[0]) if name in _MOVES else self._of_elementwise(node)

    def _of_elementwise(self, node: relax.Call) -> Values:
        if op_name(node) not in ELEMENTWISE:
            return ANY
        tensors = [arg for arg in node.args if isinstance(arg.ty, relax.TensorType)]
        operands = [self.values(arg) for arg in tensors]
        if all(operand.few is not None for operand in operands):
            return _tried(node, tensors, [sorted(operand.few or ()) for operand in operands])
        return _bounded(node, operands)


def _of_constant(value: Expr) -> Values:
    values = np.unique(array_of(value).astype(float))
    return listed(values.tolist()) if len(values) else ANY


def _tried(node: relax.Call, tensors: Sequence[Expr], values: Sequence[Sequence[float]]) -> Values:
    """Try every combination of the operands' few values."""
    combinations = list(itertools.product(*values))
    operands = [
        np.array([combination[k] for combination in combinations]).astype(str(arg.ty.dtype))
        for k, arg in enumerate(tensors)
    ]
    return listed(np.unique(evaluate(node, operands).astype(float)).tolist())


def _bounded(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Return bounds for the operators that limit a range; what is not bounded stays unknown."""
    first = operands[0]
    match str(node.op.name).removeprefix("relax."):
        case "nn.relu":
            return Values(None, max(first.low, 0), max(first.high, 0), zeros=True)
        case "clip":
            low, high = (float(bound.value) for bound in node.args[1:])
            cut = (first.low < low == 0) or (first.high > high == 0)
            return Values(None, max(first.low, low), min(first.high, high), first.zeros or cut)
        case "abs" | "exp":
            return Values(None, 0, math.inf, first.zeros and str(node.op.name) == "relax.abs")
        case "sqrt" | "tanh" | "nn.leakyrelu" | "negative":
            flipped = str(node.op.name) == "relax.negative"
            low, high = (-first.high, -first.low) if flipped else (first.low, first.high)
            return Values(None, low, high, first.zeros)
        case "maximum" | "minimum":
            pick = max if str(node.op.name) == "relax.maximum" else min
            low, high = (pick(getattr(operand, end) for operand in operands) for end in ("low", "high"))
            return Values(None, low, high, any(operand.zeros for operand in operands))
        case "round" | "floor" | "ceil" if MOST_VALUES > first.high - first.low:
            return listed([float(value) for value in range(math.floor(first.low), math.ceil(first.high) + 1)])
        case "multiply" | "divide" | "add" | "subtract" if _one_number(operands[1]) or _one_number(operands[0]):
            return _moved(node, operands)
        case "multiply" | "divide" if all(operand.low >= 0 for operand in operands):
            return Values(None, 0, math.inf, first.zeros)
        case "multiply" | "divide":
            return Values(zeros=first.zeros or (operands[1].zeros and str(node.op.name) == "relax.multiply"))
        case "add" | "subtract":
            return Values(zeros=all(operand.zeros for operand in operands))
    return ANY


def _one_number(x: Values) -> bool:
    return x.few is not None and len(x.few) == 1


def _moved(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Return what is known of a tensor scaled or shifted by one number."""
    ends = [[operand.low, operand.high] for operand in operands]
    dtype = str(node.args[0].ty.dtype)
    corners = [
        evaluate(node, [np.array(left, dtype), np.array(right, dtype)]).astype(float).item()
        for left, right in itertools.product(*ends)
    ]
    if any(math.isnan(corner) for corner in corners):
        return ANY
    scales = str(node.op.name) in {"relax.multiply", "relax.divide"}
    moves = not scales and not any(_one_number(operand) and 0.0 in (operand.few or ()) for operand in operands)
    zeros = any(operand.zeros for operand in operands if not _one_number(operand)) and not moves
    return Values(None, min(corners), max(corners), zeros)


def describe(domain: Domain) -> str:
    """Return a domain as a reader expects it: ``{-1, 1}`` or ``many values``."""
    if domain is None:
        return "many values"
    return "{" + ", ".join(f"{value:g}" for value in sorted(domain)) + "}"
