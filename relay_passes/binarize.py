"""Rewrite every layer whose operands are signs into a binary operator and a scale.

Before: ``y = conv2d(s, w)`` with ``s`` in ±b and ``w`` in ±alpha per output channel.
After:  ``y = astype(bnn.conv2d(bnn.sign(x), sign(w)), float32) * (alpha * b)``, ``x`` being what ``s`` is the sign of.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.layers import BinaryWeight, examine, is_layer
from relay_passes.rewrite import Expr, Rewriter, constant, op_name, with_span
from relay_passes.value_domain import ValueDomains
from schedules.window import Window


class _Binarize(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self._domains = ValueDomains()

    def emit(self, value: Expr, name: str = "") -> relax.Var:
        var = super().emit(value, name)
        self._domains.observe(var, value)
        return var

    def call(self, node: relax.Call) -> Expr:
        if not is_layer(node):
            return node
        layer = examine(self.builder.normalize(node), self._domains.of(node.args[0]))
        if layer.float_reason is not None or layer.input_scale is None or isinstance(layer.weight, str):
            return node
        dot = self.emit(with_span(self._dot(node, layer.weight), node.span))
        scale = constant(layer.weight.scale * np.float32(layer.input_scale))
        return relax.op.multiply(self.emit(relax.op.astype(dot, "float32")), scale)

    def _dot(self, node: relax.Call, weight: BinaryWeight) -> relax.Call:
        signs = self.emit(dialect.sign(self._source(node.args[0])))
        if op_name(node) == "relax.matmul":
            return dialect.dense(signs, constant(weight.signs))
        return dialect.conv2d(signs, constant(weight.signs), window_of_nhwc(node), int(node.attrs.groups))

    def _source(self, signs: Expr) -> Expr:
        """Return what a sign tensor is the sign of, or the tensor itself: it is its own sign."""
        made = self.definition(signs)
        return made.args[0] if op_name(made) == "relax.sign" else signs


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
