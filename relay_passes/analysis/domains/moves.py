"""Operators that pick, move or repeat values, and those that make values of none."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from tvm import relax

from relay_passes.analysis import values as v
from relay_passes.analysis.domains.rule import Rule
from relay_passes.analysis.values import BOOLEAN, WHOLE, Values, bounded, listed, union
from relay_passes.dialect import shape_of

_MOVES = (
    *("reshape", "permute_dims", "expand_dims", "squeeze", "broadcast_to", "flatten", "strided_slice", "concat"),
    *("split", "max", "min", "nn.max_pool2d", "nn.max_pool1d", "nn.max_pool3d", "nn.dropout", "sort", "topk"),
    *("nn.adaptive_max_pool2d", "nn.pixel_shuffle", "dynamic_strided_slice", "layout_transform", "collapse_sum_to"),
    *("take", "flip", "tile", "repeat", "stack", "gather_elements", "gather_nd", "index_tensor", "meshgrid"),
)
_COMPARISONS = (
    *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "isnan", "isinf", "isfinite"),
    *("logical_and", "logical_or", "logical_not", "logical_xor"),
)


def _one_of(node: relax.Call, _operands: Sequence[Values]) -> Values:
    """Return what is known of positions along an axis."""
    shape, axis = shape_of(node.args[0]), node.attrs.axis
    count = functools.reduce(lambda one, other: one * other, shape, 1) if axis is None else shape[int(axis)]
    return bounded(0.0, float(count - 1), True, WHOLE)


def _resize(node: relax.Call, operands: Sequence[Values]) -> Values:
    return operands[0] if str(node.attrs.method) == "nearest_neighbor" else Values(zeros=operands[0].zeros)


#: Of any operand, few-valued or not.
RULES: dict[str, Rule] = {
    "sign": lambda _, operands: v.sign_of(operands[0]),
    "bnn.sign": lambda *_: listed([-1.0, 1.0]),
    **dict.fromkeys(_COMPARISONS, lambda *_: BOOLEAN),
    **dict.fromkeys(_MOVES, lambda _, operands: operands[0]),
    **dict.fromkeys(("argmax", "argmin"), _one_of),
    **dict.fromkeys(("zeros", "zeros_like"), lambda *_: listed([0.0])),
    **dict.fromkeys(("ones", "ones_like"), lambda *_: listed([1.0])),
    **dict.fromkeys(("full", "full_like"), lambda _, operands: operands[1]),
    "one_hot": lambda _, operands: union(*operands[1:3]),
    **dict.fromkeys(("tril", "triu"), lambda _, operands: union(operands[0], listed([0.0]))),
    "slice_scatter": lambda _, operands: union(*operands[:2]),
    "scatter_elements": lambda _, operands: union(operands[0], operands[2]),
    "index_put": lambda _, operands: union(operands[0], operands[2]),
    "image.resize2d": _resize,
    "nn.pad": lambda node, operands: union(operands[0], listed([float(node.attrs.pad_value)])),
}
