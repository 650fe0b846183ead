"""Treat 1-D convolutions, transposed ones too, as 2-D ones of height 1, so that they get the same kernels.

Before: ``y = conv1d(x, w)`` with ``x`` NCW.
After:  ``y = reshape(conv2d(reshape(x), w))`` with ``(N, C, 1, W)`` between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax

from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, op_name, with_span


class _Widen(Rewriter):
    def call(self, node: relax.Call) -> Expr:
        name = op_name(node)
        if name not in {"relax.nn.conv1d", "relax.nn.conv1d_transpose"} or not is_constant(node.args[1]):
            return node
        x, weight = node.args
        count, channels, width = shape_of(x)
        attrs = node.attrs
        left, right = (int(extent) for extent in attrs.padding)
        options: dict[str, Any] = {
            "strides": [1, int(attrs.strides[0])],
            "padding": [0, left, 0, right],
            "dilation": [1, int(attrs.dilation[0])],
            "groups": int(attrs.groups),
        }
        convolve = relax.op.nn.conv2d
        if name == "relax.nn.conv1d_transpose":
            convolve = relax.op.nn.conv2d_transpose
            options["output_padding"] = [0, int(attrs.output_padding[0])]
        high = self.emit(relax.op.reshape(x, (count, channels, 1, width)))
        convolved = convolve(high, constant(np.expand_dims(array_of(weight), 2)), **options)
        made = self.emit(with_span(convolved, node.span))
        count, channels, _, width = shape_of(made)
        return relax.op.reshape(made, (count, channels, width))


def widen_conv1d(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite every 1-D convolution whose weight is constant."""
    return _Widen().run(module)
