"""Rewrite every layer whose operands take few values into binary operators on sign tensors.

Before: ``y = conv2d(x, w)`` with ``x`` in ±b and ``w`` in ±alpha per output channel.
After:  ``y = astype(bnn.conv2d(bnn.sign(x), sign(w)), float32) * (alpha * b)``.

In general ``x = m + sum of c_i s_i`` and ``w = v + sum of alpha_j t_j`` with sign tensors ``s_i`` and ``t_j``, so

    conv(x, w) = sum of alpha_j c_i conv(s_i, t_j) + m sum of alpha_j conv(1, t_j)
               + v (sum of c_i conv(s_i, 1) + m conv(1, 1)).

The convolutions of ones are constants, of each kind of position if they are padded (``bnn.at_border``); ``v`` is 0 but
for weights with an offset. Where the scales are whole multiples of one of them, as in quantization, the sum is an
integer and exact.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.analysis.layers import examine, groups_of, is_layer, layer_name
from relay_passes.analysis.part_names import PART
from relay_passes.analysis.planes import TOLERANCE, Planes
from relay_passes.analysis.weight_planes import WeightPlanes
from relay_passes.domain_rewriter import DomainRewriter
from relay_passes.rewrite import Expr, constant, named, op_name
from schedules.kernels.binary.border import sums_within
from schedules.kernels.window import Window

Signs = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class _Operand:
    """A layer's input as sign tensors: ``offset + scales[0] * signs[0] + ...``, padding counting as ``pad_sign``."""

    signs: tuple[relax.Var, ...]
    scales: tuple[float, ...]
    offset: float
    pad_sign: int


class _Binarize(DomainRewriter):
    def __init__(self) -> None:
        super().__init__(proves_zeros=True)
        self._parts: dict[str, int] = {}

    def call(self, node: relax.Call) -> Expr:
        if not is_layer(node):
            return node
        x, weight = node.args
        layer = examine(self.builder.normalize(node), self.domains.of(x), self.domains.of(weight))
        if layer.float_reason is not None or layer.planes is None:
            return node
        if isinstance(layer.weight, str):
            return node if layer.second_planes is None else self._product(node, layer.planes, layer.second_planes)
        if op_name(node) == "relax.matmul" and groups_of(node) > 1:
            return self._grouped(node, layer.planes, layer.weight)
        return self._expanded(node, self._operand(node, layer.planes), layer.weight)

    def _grouped(self, node: relax.Call, planes: Planes, weight: WeightPlanes) -> Expr:
        """Return a product with a matrix for each group as a grouped 1x1 convolution of a row of pixels."""
        samples, groups, rows, depth = dialect.shape_of(node.args[0])
        columns = dialect.shape_of(node)[-1]
        x = self._beside(node.args[0], (samples, 1, rows, groups * depth))
        stacked = constant(np.ones((groups * columns, 1, 1, depth), np.float32))
        convolution = relax.op.nn.conv2d(x, stacked, groups=groups, data_layout="NHWC", kernel_layout="OHWI")
        named_so = self.builder.normalize(named(convolution, layer_name(node)))
        shaped = dataclasses.replace(weight, signs=weight.signs.reshape(len(weight), *dialect.shape_of(stacked)))
        made = self.emit(self._expanded(named_so, self._operand(named_so, planes), shaped))
        apart = self.emit(relax.op.reshape(made, (samples, rows, groups, columns)))
        return relax.op.permute_dims(apart, [0, 2, 1, 3])

    def _beside(self, x: Expr, shape: tuple[int, ...]) -> Expr:
        """Return ``(A, G, R, K)`` values with the groups' channels side by side; a sign stays what is seen of it."""
        made = self.definition(x)
        is_sign = op_name(made) == "relax.sign"
        turned = self.emit(relax.op.permute_dims(made.args[0] if is_sign else x, [0, 2, 1, 3]))
        beside = self.emit(relax.op.reshape(turned, shape))
        return self.emit(relax.op.sign(beside)) if is_sign else beside

    def _expanded(self, node: relax.Call, x: _Operand, weight: WeightPlanes) -> Expr:
        """Return the sum of the terms that are not zero."""
        scaled = self._sum(node, x, weight.signs, weight.scales)
        if x.offset:
            scaled = relax.op.add(self.emit(scaled), self._of_ones(node, x, weight.signs, weight.scales))
        if not weight.offset.any():
            return scaled
        # The sum of a window is one for all channels; each group has its own, which its channels then repeat.
        sums = 1 if groups_of(node) == 1 else len(weight.offset)
        ones, unit = np.ones((1, sums, *weight.signs.shape[2:]), np.float32), np.ones((1, sums), np.float32)
        window_sum = self.emit(self._sum(node, x, ones, unit))
        if x.offset:
            window_sum = self.emit(relax.op.add(window_sum, self._of_ones(node, x, ones, unit)))
        shifted = self.emit(relax.op.multiply(window_sum, constant(weight.offset)))
        return relax.op.add(self.emit(scaled), shifted)

    def _product(self, node: relax.Call, left: Planes, right: Planes) -> Expr:
        """Return the product of two activations ``x = m + sum of c_i s_i`` and ``w = v + sum of d_j t_j``.

        ``x w = (x - m)(w - v) + m * sum(w) + v * sum(x) - K m v``, sums over the ``K`` inner positions.
        """
        a, b = node.args
        rank, depth = len(dialect.shape_of(b)), dialect.shape_of(a)[-1]
        swapped = self.emit(relax.op.permute_dims(b, [*range(rank - 2), rank - 1, rank - 2]))
        pairs = [
            (self.emit(self._named(dialect.matmul(p, q), node)), np.array([c * d], np.float32))
            for p, c in zip(self._planes(a, left), left.scales, strict=True)
            for q, d in zip(self._planes(swapped, right), right.scales, strict=True)
        ]
        made = self.emit(self._weighted(pairs))
        for offset, operand, axis in ((left.offset, b, -2), (right.offset, a, -1)):
            if offset:
                summed = self.emit(relax.op.sum(operand, [axis % rank], keepdims=True))
                shift = self.emit(relax.op.multiply(summed, relax.const(np.float32(offset))))
                made = self.emit(relax.op.add(made, shift))
        if left.offset and right.offset:
            made = self.emit(relax.op.subtract(made, relax.const(np.float32(depth * left.offset * right.offset))))
        return made

    def _named(self, part: relax.Call, node: relax.Call) -> Expr:
        """Return an operator under its layer's name; the second and later ones of a layer are numbered."""
        name = layer_name(node)
        number = self._parts.get(name, 0)
        self._parts[name] = number + 1
        return named(part, name if number == 0 else f"{name}{PART}{number}")

    def _operand(self, node: relax.Call, planes: Planes) -> _Operand:
        """Return the input's planes, all negative where padding adds zeros that are among its values."""
        x = node.args[0]
        pads = op_name(node) != "relax.matmul" and any(window_of_nhwc(node).padding)
        if not (pads and planes.offset and 0.0 in planes.values):
            return _Operand(self._planes(x, planes), planes.scales, planes.offset, 0)
        of_zero = planes.signs_of(0.0)
        scales = tuple(-sign * scale for sign, scale in zip(of_zero, planes.scales, strict=True))
        return _Operand(self._planes(x, planes, of_zero), scales, planes.offset, -1)

    def _planes(self, x: Expr, planes: Planes, mirrored: Sequence[int] = ()) -> tuple[relax.Var, ...]:
        """Return the sign tensors of a value; those whose ``mirrored`` is +1 with the opposite sign."""
        mirrors = mirrored or (-1,) * len(planes)
        thresholds = planes.thresholds()
        if planes.is_thermometer:
            return tuple(self._above(x, *pair) for pair in zip(thresholds, mirrors, strict=True))
        rest = self._shifted(x, planes.values[0])
        signs = []
        for threshold, scale, mirror in zip(thresholds, planes.scales, mirrors, strict=True):
            signs.append(self._above(rest, threshold, mirror))
            if len(signs) < len(planes):
                dtype = dialect.dtype_of(x)
                above = self.emit(relax.op.greater_equal(rest, relax.const(threshold, dtype)))
                lower = self._shifted(rest, 2 * scale)
                rest = self.emit(relax.op.where(above, lower, rest))
        return tuple(signs)

    def _above(self, x: Expr, threshold: float, mirror: int) -> relax.Var:
        """Return the sign of ``x - threshold``, or of ``threshold - x`` if ``mirror`` is +1."""
        made = self.definition(x)
        if op_name(made) == "relax.sign" and abs(threshold) < 1 and mirror == -1:
            # Below zero, a threshold takes the sign's zeros for +1; above, for -1.
            return self.emit(dialect.sign(made.args[0], 1 if threshold <= 0 else -1))
        if op_name(made) == "relax.bnn.sign" and threshold == 0 and mirror == -1:
            return x
        if mirror == -1:
            return self.emit(dialect.sign(self._shifted(x, threshold), 1))
        limit = relax.const(threshold, dialect.dtype_of(x))
        return self.emit(dialect.sign(self.emit(relax.op.subtract(limit, x)), 1))

    def _shifted(self, x: Expr, offset: float) -> Expr:
        return self.emit(relax.op.subtract(x, relax.const(offset, dialect.dtype_of(x)))) if offset else x

    def _sum(self, node: relax.Call, x: _Operand, weights: Signs, scales: Signs) -> relax.Call:
        """Return the planes' products with the ``(P, O, ...)`` weights, each times its scales."""
        pairs = [
            (self.emit(self._named(self._dot(node, plane, signs, x.pad_sign), node)), scale * np.float32(factor))
            for signs, scale in zip(weights, scales, strict=True)
            for plane, factor in zip(x.signs, x.scales, strict=True)
        ]
        return self._weighted(pairs)

    def _of_ones(self, node: relax.Call, x: _Operand, weights: Signs, scales: Signs) -> Expr:
        """Return ``offset`` times what the layer would make of ones, with padding as the planes see it."""
        factors = scales * np.float32(x.offset)
        if op_name(node) == "relax.matmul":
            return constant((weights.sum(axis=2) * factors).sum(axis=0))
        window = window_of_nhwc(node)
        if x.pad_sign == -1 or not any(window.padding):
            return constant((weights.sum(axis=(2, 3, 4)) * factors).sum(axis=0))
        _, height, width, _ = dialect.shape_of(node.args[0])
        sums = [sums_within(plane, window, height, width).astype(np.float32) for plane in weights]
        table = np.asarray(sum(one * factor for one, factor in zip(sums, factors, strict=True)))
        if table.shape[:2] == (1, 1):
            return constant(table[0, 0])
        return self.emit(dialect.at_border(constant(table), window.axes(height, width)))

    def _weighted(self, pairs: Sequence[tuple[relax.Var, Signs]]) -> relax.Call:
        """Return the sum of integers times scales: of integers, and scaled once, where the scales allow it."""
        unit = np.min([np.abs(scale) for _, scale in pairs], axis=0)
        multiples = [_multiple(scale, unit) for _, scale in pairs]
        if all(multiple is not None for multiple in multiples):
            terms = [self._times(dot, multiple or 0) for (dot, _), multiple in zip(pairs, multiples, strict=True)]
            total = functools.reduce(lambda one, other: self.emit(relax.op.add(one, other)), terms)
            return relax.op.multiply(self.emit(relax.op.astype(total, "float32")), constant(unit))
        products = [
            self.emit(relax.op.multiply(self.emit(relax.op.astype(dot, "float32")), constant(scale)))
            for dot, scale in pairs
        ]
        *first, last = products
        return relax.op.add(functools.reduce(lambda one, other: self.emit(relax.op.add(one, other)), first), last)

    def _times(self, dot: relax.Var, factor: int) -> relax.Var:
        return dot if factor == 1 else self.emit(relax.op.multiply(dot, relax.const(factor, "int32")))

    def _dot(self, node: relax.Call, signs: relax.Var, weight: Signs, pad_sign: int) -> relax.Call:
        if op_name(node) == "relax.matmul":
            return dialect.dense(signs, constant(weight))
        return dialect.conv2d(signs, constant(weight), window_of_nhwc(node), groups_of(node), pad_sign)


def _multiple(scale: Signs, unit: Signs) -> int | None:
    """Return the whole number that ``scale`` is of ``unit`` in every channel, None if there is no such."""
    used = unit > 0
    if not used.any() or (scale[~used] != 0).any():
        return None if (scale != 0).any() else 1
    ratios = scale[used].astype(np.float64) / unit[used]
    whole = round(float(ratios[0]))
    return whole if (np.abs(ratios - whole) <= TOLERANCE).all() else None


def window_of_nhwc(node: relax.Call) -> Window:
    """Return the window of an NHWC / OHWI ``nn.conv2d``."""
    _, kernel_h, kernel_w, _ = dialect.shape_of(node.args[1])
    top, left, bottom, right = (int(extent) for extent in node.attrs.padding)
    stride_h, stride_w = (int(extent) for extent in node.attrs.strides)
    dilate_h, dilate_w = (int(extent) for extent in node.attrs.dilation)
    return Window((kernel_h, kernel_w), (stride_h, stride_w), (top, left, bottom, right), (dilate_h, dilate_w))


def binarize(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite the binary layers of a channels-last float module."""
    return _Binarize().run(module)
