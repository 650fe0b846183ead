"""Means, sums, pools and layers: what they make of many values at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tvm import relax

from relay_passes.analysis import values as v
from relay_passes.analysis.domains.rule import Rule
from relay_passes.analysis.values import Grid, Values, bounded, listed, union
from relay_passes.dialect import shape_of
from relay_passes.rewrite import array_of, is_constant, op_name

#: Sums of products of few values lie on a grid, and zero is one of its points.
_LAYERS = (
    *("matmul", "nn.conv1d", "nn.conv2d", "nn.conv3d", "nn.conv1d_transpose", "nn.conv2d_transpose"),
    *("bnn.conv2d", "bnn.dense", "bnn.matmul"),
)
#: Those whose weights have the output channels first, or last in a matrix.
_WITH_CHANNELS_FIRST = frozenset(f"relax.{name}" for name in ("matmul", "nn.conv1d", "nn.conv2d", "nn.conv3d"))


def _count(node: relax.Call) -> int:
    """Return how many values each result of a reduction is made of."""
    shape = shape_of(node.args[0])
    axes = range(len(shape)) if node.attrs.axis is None else [int(axis) for axis in node.attrs.axis]
    return math.prod(shape[axis] for axis in axes)


def _pool(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Return the means under a window, in which padding counts as zeros or not at all."""
    x, attrs = operands[0], node.attrs
    count: int | None = math.prod(int(extent) for extent in attrs.pool_size)
    if any(int(extent) for extent in attrs.padding):
        if bool(attrs.count_include_pad):
            x = union(x, listed([0.0]))
        else:
            count = None
    return v.mean_of(x, None if bool(attrs.ceil_mode) else count)


def _adaptive_pool(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Return the means under windows, which are all alike where the sizes divide."""
    layout = str(node.attrs.layout)
    sizes = [shape_of(node.args[0])[layout.index(axis)] for axis in "DHW" if axis in layout]
    outs = [int(extent) for extent in node.attrs.output_size]
    outs = outs * len(sizes) if len(outs) == 1 else outs
    divides = all(size % out == 0 for size, out in zip(sizes, outs, strict=True))
    return v.mean_of(operands[0], math.prod(sizes) // math.prod(outs) if divides else None)


def _layer(node: relax.Call, operands: Sequence[Values]) -> Values:
    """Return what sums of products are: on a grid where both operands are, within what all of them add up to."""
    grids = [None if x.lattice is None else x.lattice.multiples for x in operands[:2]]
    steps = [grid.step for grid in grids if grid is not None]
    grid = Grid(math.prod(steps)) if len(steps) == len(grids) else None
    reach = _depth(node) * math.prod(max(abs(x.low), abs(x.high)) for x in operands[:2])
    if not math.isfinite(reach):
        reach = math.inf
    return bounded(-reach, reach, _sums_meet_zero(node, operands), grid)


def _depth(node: relax.Call) -> int:
    """Return how many products a sum has at most."""
    first, second = (shape_of(arg) for arg in node.args[:2])
    if op_name(node) in {"relax.matmul", "relax.bnn.dense", "relax.bnn.matmul"}:
        return first[-1]
    outputs = second[1] if "transpose" in str(node.op.name) else second[0]
    return math.prod(second) // outputs


def scale_of(layer: relax.Call) -> npt.NDArray[np.floating] | None:
    """Return the magnitude that each output channel's weights have in common, None if there is no such.

    Of a product with a matrix for each group, those of all groups, one after the other.
    """
    weight = array_of(layer.args[1])
    is_product = op_name(layer) == "relax.matmul"
    rows = weight.swapaxes(-1, -2).reshape(-1, weight.shape[-2]) if is_product else weight.reshape(len(weight), -1)
    magnitudes = np.abs(rows)
    return magnitudes[:, 0] if (magnitudes == magnitudes[:, :1]).all() else None


def _sums_meet_zero(node: relax.Call, operands: Sequence[Values]) -> bool:
    """Tell whether a layer adds up zeros alone, or few values that may cancel: those of its input and of a channel."""
    if any(values.zeros and not is_constant(arg) for values, arg in zip(operands, node.args, strict=True)):
        return True
    if not operands[0].is_quantized:
        return False
    if operands[1].is_quantized:
        return True
    return op_name(node) in _WITH_CHANNELS_FIRST and is_constant(node.args[1]) and scale_of(node) is not None


def _running_sum(node: relax.Call, operands: Sequence[Values]) -> Values:
    grid = None if operands[0].lattice is None else operands[0].lattice.multiples
    low, high = (0.0 if operands[0].low >= 0 else -math.inf), (0.0 if operands[0].high <= 0 else math.inf)
    return bounded(low, high, operands[0].zeros and low == 0, grid)


#: Of any operand, few-valued or not.
RULES: dict[str, Rule] = {
    **dict.fromkeys(_LAYERS, _layer),
    "mean": lambda node, operands: v.mean_of(operands[0], _count(node)),
    "sum": lambda node, operands: v.sum_of(operands[0], _count(node)),
    "nn.avg_pool2d": _pool,
    "nn.adaptive_avg_pool2d": _adaptive_pool,
    "cumsum": _running_sum,
}
