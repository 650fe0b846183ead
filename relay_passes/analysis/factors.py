"""Which factor of a few-valued operand varies along a layer's sum, and so cannot move behind the layer."""

from __future__ import annotations

from tvm import relax

from relay_passes.analysis.planes import planes_of
from relay_passes.analysis.scales import Scaled, Scales, varying_axes
from relay_passes.analysis.value_domain import ValueDomains
from relay_passes.analysis.values import Domain, describe
from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, bindings, is_constant, op_name

_MATRIX_RANK = 2


def summed_axes(node: relax.Call) -> tuple[set[int], set[int]]:
    """Return the axes of a layer's two operands that it sums over; none of a constant weight.

    A 1x1 convolution of every pixel sums over the channels alone.
    """
    rank = len(shape_of(node.args[0]))
    if op_name(node) == "relax.matmul":
        other = len(shape_of(node.args[1]))
        return {rank - 1}, set() if is_constant(node.args[1]) or other < _MATRIX_RANK else {other - 2}
    attrs, kernel = node.attrs, shape_of(node.args[1])
    channels = str(attrs.data_layout).index("C")
    window = [size for axis, size in zip(str(attrs.kernel_layout), kernel, strict=True) if axis not in "OI"]
    moves = [*attrs.padding, *(int(stride) - 1 for stride in attrs.strides), *(size - 1 for size in window)]
    is_pointwise = not any(int(move) for move in moves) and "transpose" not in str(node.op.name)
    return ({channels} if is_pointwise else set(range(1, rank))), set()


def _factor_along_sum(scaled: Scaled | None, few: Domain, node: relax.Call, place: int) -> str:
    """Say which factor of a few-valued operand varies along a layer's sum; nothing if none does."""
    axes = set() if scaled is None else varying_axes(scaled)
    summed = axes & summed_axes(node)[place]
    if scaled is None or not summed:
        return ""
    if place == 1:
        what = "a row of the second operand"
    elif op_name(node) == "relax.matmul" or summed == {str(node.attrs.data_layout).index("C")}:
        what = "a channel of the input" if axes == summed else "an element of the input"
    else:
        is_position = str(getattr(node.attrs, "data_layout", "")).find("C") not in summed
        what = "a position of the input" if is_position else "an element of the input"
    return f"is {describe(few)} times reals: a factor {what} varies along the sum"


class Factors:
    """Explains the layers of a function, which stays as it is."""

    def __init__(self, function: relax.Function, domains: ValueDomains) -> None:
        """Take a function and what is known of its values."""
        self._domains = domains
        self._made: dict[Expr, Expr] = {binding.var: binding.value for binding in bindings(function)}
        self._builder = relax.BlockBuilder()
        self._scales = Scales(lambda value: self._made.get(value, value), domains, self._imagined)

    def of(self, node: relax.Call) -> tuple[str, str]:
        """Say of each operand of many values whether it is of few, but for a factor that varies along the sum."""
        first, second = (self._of_operand(node, place) for place in (0, 1))
        return first, second

    def _of_operand(self, node: relax.Call, place: int) -> str:
        operand = node.args[place]
        if is_constant(operand) or planes_of(self._domains.of(operand)) is not None:
            return ""
        split = self._scales.split(operand)
        few = None if split is None else self._domains.of(split.few)
        return _factor_along_sum(split, few, node, place)

    def _imagined(self, value: Expr) -> relax.Var:
        """Return a variable of a call that is in no function."""
        normal = self._builder.normalize(value)
        var = relax.Var("imagined", normal.ty)
        self._made[var] = normal
        self._domains.observe(var, normal)
        return var
