"""Relax operators evaluated on NumPy arrays, in the operands' own precision.

Used where a value is known at compile time: to fold constants, and to try an epilogue on every integer that a binary
layer can produce. An operator that is not in the table is simply not evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from relay_passes.analysis.multiply_add import multiply_add
from relay_passes.rewrite import op_name

Array = npt.NDArray[Any]
_Evaluate = Callable[..., Array]


def _axes(node: relax.Call) -> tuple[int, ...] | None:
    return None if node.attrs.axis is None else tuple(int(axis) for axis in node.attrs.axis)


def _reduce(reduction: Callable[..., Any]) -> _Evaluate:
    def evaluate(node: relax.Call, x: Array) -> Array:
        return np.asarray(reduction(x, axis=_axes(node), keepdims=bool(node.attrs.keepdims)), dtype=x.dtype)

    return evaluate


def _plain(function: Callable[..., Any]) -> _Evaluate:
    return lambda _node, *args: np.asarray(function(*args))


def _permute(node: relax.Call, x: Array) -> Array:
    return np.transpose(x, None if node.attrs.axes is None else [int(axis) for axis in node.attrs.axes])


def _reshape(node: relax.Call, x: Array) -> Array:
    return x.reshape([int(extent) for extent in node.args[1].values])


def _broadcast(node: relax.Call, x: Array) -> Array:
    return np.broadcast_to(x, [int(extent) for extent in node.args[1].values])


def _expand(node: relax.Call, x: Array) -> Array:
    return np.expand_dims(x, tuple(int(axis) for axis in node.attrs.axis))


def _clip(node: relax.Call, x: Array) -> Array:
    low, high = (bound.value for bound in node.args[1:])
    return np.clip(x, x.dtype.type(low), x.dtype.type(high))


def _astype(node: relax.Call, x: Array) -> Array:
    return x.astype(str(node.attrs.dtype))


def _leaky(node: relax.Call, x: Array) -> Array:
    return np.where(x > 0, x, x * x.dtype.type(node.attrs.alpha))


def _erf(x: Array) -> Array:
    """Return the error function of each number in float64; NumPy has none."""
    return np.fromiter(map(math.erf, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)


def _gelu(x: Array) -> Array:
    """Return x times the share of a normal distribution below it, rounded step by step as PyTorch's CPU kernel does."""
    one, half, scale = (x.dtype.type(number) for number in (1, 0.5, math.sqrt(0.5)))
    return np.asarray(x * half * (one + _erf(x * scale).astype(x.dtype)))


_TABLE: dict[str, _Evaluate] = {
    "add": _plain(np.add),
    "subtract": _plain(np.subtract),
    "multiply": _plain(np.multiply),
    "divide": _plain(np.divide),
    "bnn.multiply_add": _plain(multiply_add),
    "maximum": _plain(np.maximum),
    "minimum": _plain(np.minimum),
    "power": _plain(np.power),
    "negative": _plain(np.negative),
    "abs": _plain(np.abs),
    "sqrt": _plain(np.sqrt),
    "rsqrt": _plain(lambda x: (1 / np.sqrt(x)).astype(x.dtype)),
    "exp": _plain(np.exp),
    "tanh": _plain(np.tanh),
    "sign": _plain(np.sign),
    "sigmoid": _plain(lambda x: (1 / (1 + np.exp(-x))).astype(x.dtype)),
    "square": _plain(np.square),
    "log": _plain(np.log),
    "sin": _plain(np.sin),
    "cos": _plain(np.cos),
    "round": _plain(np.round),
    "floor": _plain(np.floor),
    "ceil": _plain(np.ceil),
    "trunc": _plain(np.trunc),
    "floor_mod": _plain(np.mod),
    "mod": _plain(np.fmod),
    "floor_divide": _plain(np.floor_divide),
    "bitwise_and": _plain(np.bitwise_and),
    "bitwise_or": _plain(np.bitwise_or),
    "bitwise_xor": _plain(np.bitwise_xor),
    "bitwise_not": _plain(np.bitwise_not),
    "logical_and": _plain(np.logical_and),
    "logical_or": _plain(np.logical_or),
    "logical_xor": _plain(np.logical_xor),
    "logical_not": _plain(np.logical_not),
    "isnan": _plain(np.isnan),
    "greater": _plain(np.greater),
    "greater_equal": _plain(np.greater_equal),
    "less": _plain(np.less),
    "less_equal": _plain(np.less_equal),
    "equal": _plain(np.equal),
    "not_equal": _plain(np.not_equal),
    "where": _plain(np.where),
    "nn.relu": _plain(lambda x: np.maximum(x, x.dtype.type(0))),
    "nn.leakyrelu": _leaky,
    "nn.gelu": _plain(_gelu),
    "clip": _clip,
    "astype": _astype,
    "mean": _reduce(np.mean),
    "sum": _reduce(np.sum),
    "max": _reduce(np.max),
    "min": _reduce(np.min),
    "permute_dims": _permute,
    "reshape": _reshape,
    "broadcast_to": _broadcast,
    "expand_dims": _expand,
}

#: Operators of the table that work value by value: with operands broadcast to one shape, an output position depends on
#: the same position of the operands only.
ELEMENTWISE = frozenset(
    f"relax.{name}"
    for name in _TABLE
    if name not in {"mean", "sum", "max", "min", "permute_dims", "reshape", "broadcast_to", "expand_dims"}
)


def can_evaluate(node: relax.Call) -> bool:
    """Tell whether :func:`evaluate` knows the call's operator."""
    name = op_name(node)
    return name is not None and name.removeprefix("relax.") in _TABLE


def evaluate(node: relax.Call, args: Sequence[Array]) -> Array:
    """Return what a call gives for the given values of its tensor arguments.

    Raises
    ------
    KeyError
        If the operator is not in the table.
    """
    with np.errstate(all="ignore"):
        return _TABLE[str(node.op.name).removeprefix("relax.")](node, *args)
