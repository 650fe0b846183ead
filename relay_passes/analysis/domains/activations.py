"""Bounds of the functions that networks squash or normalise by."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from tvm import relax

from relay_passes.analysis.domains.rule import Rule
from relay_passes.analysis.values import ANY, Values, bounded
from relay_passes.dialect import shape_of
from relay_passes.rewrite import array_of, is_constant

#: No float32 sigmoid of a number above it is zero.
_SIGMOID_ENDS = -88.0


def _rising(function: Callable[[float], float], low: float, high: float, keeps_zero: bool) -> Rule:
    """Return the rule of a function that never falls, from ``low`` at minus infinity to ``high``."""

    def bound(_node: relax.Call, operands: Sequence[Values]) -> Values:
        x = operands[0]
        first = low if x.low == -math.inf else function(x.low)
        last = high if x.high == math.inf else function(x.high)
        return bounded(first, last, keeps_zero and x.zeros)

    return bound


def _between(low: float, high: float, zeros: bool = False) -> Rule:
    return lambda _node, _operands: Values(None, low, high, zeros)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(max(x, -700.0)) / (1 + math.exp(max(x, -700.0)))


def _exp(x: float) -> float:
    return math.exp(x) if x < math.log(np.finfo(np.float32).max) else math.inf


def _logarithm(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _root(x: float) -> float:
    return math.sqrt(max(x, 0.0))


def _reciprocal_root(_node: relax.Call, operands: Sequence[Values]) -> Values:
    low, high = (math.inf if end <= 0 else 1 / math.sqrt(end) for end in (operands[0].low, operands[0].high))
    return bounded(high if high < math.inf else 0.0, low)


def _leaky(node: relax.Call, operands: Sequence[Values]) -> Values:
    x, slope = operands[0], float(node.attrs.alpha)
    ends = [end if end >= 0 else end * slope for end in (x.low, x.high)]
    return bounded(min(ends), max(ends), x.zeros) if slope >= 0 else ANY


def _squashed(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound a sigmoid, which float32 rounds to zero far below it."""
    found = _rising(_sigmoid, 0.0, 1.0, keeps_zero=False)(node, operands)
    return dataclasses.replace(found, zeros=found.zeros or operands[0].low < _SIGMOID_ENDS)


def _norm(_node: relax.Call, operands: Sequence[Values]) -> Values:
    """What is zero everywhere is as far from its mean: the offset alone is left of it, the last operand."""
    return Values(zeros=operands[0].zeros and operands[-1].zeros)


def _layer_norm(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Bound what is normalised over ``n`` numbers: by the root of ``n - 1`` before the scale and the shift."""
    x, scale, shift = node.args[:3]
    zeros = _norm(node, operands).zeros
    if not (is_constant(scale) and is_constant(shift)):
        return Values(zeros=zeros)
    count = math.prod(shape_of(x)[int(axis)] for axis in node.attrs.axes)
    reach = float(np.abs(array_of(scale)).max()) * math.sqrt(max(count - 1, 0))
    return bounded(float(array_of(shift).min()) - reach, float(array_of(shift).max()) + reach, zeros)


#: Of any operand, few-valued or not.
RULES: dict[str, Rule] = {
    "nn.softmax": _between(0.0, 1.0, zeros=True),  # what is masked, or far below the largest
    "nn.log_softmax": _between(-math.inf, 0.0),
    "nn.layer_norm": _layer_norm,
    **dict.fromkeys(("nn.group_norm", "nn.instance_norm"), _norm),
    # Activations that round to zero far from it.
    **dict.fromkeys(("nn.gelu", "nn.gelu_tanh", "nn.silu"), _between(-1.0, math.inf, zeros=True)),
}
#: Of operands that take many values.
BOUNDS: dict[str, Rule] = {
    "sigmoid": _squashed,
    "tanh": _rising(math.tanh, -1.0, 1.0, keeps_zero=True),
    "erf": _rising(math.erf, -1.0, 1.0, keeps_zero=True),
    "atan": _rising(math.atan, -math.pi / 2, math.pi / 2, keeps_zero=True),
    "exp": _rising(_exp, 0.0, math.inf, keeps_zero=False),
    "log": _rising(_logarithm, -math.inf, math.inf, keeps_zero=False),
    "sqrt": _rising(_root, 0.0, math.inf, keeps_zero=True),
    "rsqrt": _reciprocal_root,
    **dict.fromkeys(("sin", "cos"), _between(-1.0, 1.0)),
    "nn.leakyrelu": _leaky,
    **dict.fromkeys(("nn.gelu", "nn.gelu_tanh", "nn.silu"), _between(-1.0, math.inf, zeros=True)),
}
