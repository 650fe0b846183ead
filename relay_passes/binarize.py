"""Rewrite every layer whose operands take two values into binary operators on sign tensors.

Before: ``y = conv2d(x, w)`` with ``x`` in ±b and ``w`` in ±alpha per output channel.
After:  ``y = astype(bnn.conv2d(bnn.sign(x), sign(w)), float32) * (alpha * b)``.

In general ``x = m + c * (sum of planes s)`` and ``w = v + alpha * t`` with sign tensors ``s`` and ``t``, so

    conv(x, w) = alpha * (c * sum of conv(s, t) + m * conv(1, t)) + v * (c * sum of conv(s, 1) + m * conv(1, 1)).

The convolutions of ones are constants; ``v`` is 0 but for weights with an offset.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.domain_rewriter import DomainRewriter
from relay_passes.layers import BinaryWeight, Planes, examine, groups_of, is_layer, layer_name, planes_of
from relay_passes.rewrite import Expr, constant, op_name, with_span
from schedules import reference
from schedules.window import Window

Signs = npt.NDArray[np.float32]

#: Separates a layer's name from the number of one of several operators that it became.
PART = "~"


class _Binarize(DomainRewriter):
    def __init__(self) -> None:
        super().__init__()
        self._parts: dict[str, int] = {}

    def call(self, node: relax.Call) -> Expr:
        if not is_layer(node):
            return node
        layer = examine(self.builder.normalize(node), *map(self.domains.of, node.args))
        second = planes_of(layer.second)
        if layer.float_reason is not None or layer.planes is None:
            return node
        if isinstance(layer.weight, str):
            return node if second is None else self._product(node, layer.planes, second)
        return self._expanded(node, layer.planes, layer.weight)

    def _expanded(self, node: relax.Call, planes: Planes, weight: BinaryWeight) -> Expr:
        """Return the sum of the terms that are not zero."""
        signs = [self._plane(node.args[0], planes, zero) for zero in planes.zeros]
        scaled = self._sum(node, signs, weight.signs, planes, weight.scale * np.float32(planes.scale))
        if planes.offset:
            scaled = relax.op.add(self.emit(scaled), self._of_ones(node, weight.signs, planes, weight.scale))
        if not weight.offset.any():
            return scaled
        ones = np.ones((1, *weight.signs.shape[1:]), np.float32)
        window_sum = self.emit(self._sum(node, signs, ones, planes, np.full(1, planes.scale, np.float32)))
        if planes.offset:
            window_sum = self.emit(relax.op.add(window_sum, self._of_ones(node, ones, planes, np.ones(1, np.float32))))
        shifted = self.emit(relax.op.multiply(window_sum, constant(weight.offset)))
        return relax.op.add(self.emit(scaled), shifted)

    def _product(self, node: relax.Call, left: Planes, right: Planes) -> Expr:
        """Return the product of two activations ``x = m + c * s`` and ``w = v + d * t``.

        ``x w = (x - m)(w - v) + m * sum(w) + v * sum(x) - K m v``, sums over the ``K`` inner positions.
        """
        a, b = node.args
        rank, depth = len(dialect.shape_of(b)), dialect.shape_of(a)[-1]
        swapped = self.emit(relax.op.permute_dims(b, [*range(rank - 2), rank - 1, rank - 2]))
        pairs = [
            self.emit(self._named(dialect.matmul(self._plane(a, left, p), self._plane(swapped, right, q)), node))
            for p in left.zeros
            for q in right.zeros
        ]
        total = functools.reduce(lambda x, y: self.emit(relax.op.add(x, y)), pairs)
        real = self.emit(relax.op.astype(total, "float32"))
        made = self.emit(relax.op.multiply(real, relax.const(np.float32(left.scale * right.scale))))
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
        source = tvm.ir.SourceName(name if number == 0 else f"{name}{PART}{number}")
        return with_span(part, tvm.ir.Span(source, 0, 0, 0, 0))

    def _plane(self, x: Expr, planes: Planes, zero: int) -> relax.Var:
        if planes.offset:
            x = self.emit(relax.op.subtract(x, relax.const(planes.offset, dialect.dtype_of(x))))
        made = self.definition(x)
        # A sign tensor is its own sign; what it is the sign of has no zeros by construction, unless two planes say so.
        source = made.args[0] if op_name(made) == "relax.sign" else x
        return self.emit(dialect.sign(source, zero))

    def _sum(self, node: relax.Call, signs: list[relax.Var], weight: Signs, planes: Planes, scale: Signs) -> relax.Call:
        """Return ``scale`` times the sum of the planes' integer products with ``weight``."""
        dots = [self.emit(self._named(self._dot(node, plane, weight, planes), node)) for plane in signs]
        total = dots[0] if len(dots) == 1 else self.emit(relax.op.add(*dots))
        return relax.op.multiply(self.emit(relax.op.astype(total, "float32")), constant(scale))

    def _dot(self, node: relax.Call, signs: relax.Var, weight: Signs, planes: Planes) -> relax.Call:
        if op_name(node) == "relax.matmul":
            return dialect.dense(signs, constant(weight))
        return dialect.conv2d(signs, constant(weight), window_of_nhwc(node), groups_of(node), _pad_sign(planes))

    def _of_ones(self, node: relax.Call, weight: Signs, planes: Planes, scale: Signs) -> Expr:
        """Return ``offset * scale`` times what the layer would make of ones, with padding as the planes see it."""
        factor = scale * np.float32(planes.offset)
        if op_name(node) == "relax.matmul":
            return constant(weight.sum(axis=1) * factor)
        window = window_of_nhwc(node)
        if _pad_sign(planes) == -1 or not any(window.padding):
            return constant(weight.sum(axis=(1, 2, 3)) * factor)
        _, height, width, channels = dialect.shape_of(node.args[0])
        ones = np.ones((1, height, width, channels), np.float32)
        return constant(reference.conv2d(ones, weight, window, groups_of(node)).astype(np.float32) * factor)


def _pad_sign(planes: Planes) -> int:
    """Return what padding with zeros is to the planes: their low value, or none of theirs."""
    return -1 if planes.offset and planes.offset == planes.scale else 0


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
