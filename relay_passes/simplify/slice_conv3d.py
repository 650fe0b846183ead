"""Compute a 3-D convolution as a sum of 2-D ones, one for each slice of its kernel's depth.

Before: ``y = conv3d(x, w)``, NCDHW.
After:  ``y = sum over k of conv2d(x at depth d * stride + k, w at depth k)``, output depths taken as a batch.
"""

from __future__ import annotations

import functools

import tvm
from tvm import relax

from relay_passes.analysis.layers import layer_name
from relay_passes.analysis.part_names import PHASE
from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, named, op_name

_DEPTH = 1


class _Slice(Rewriter):
    def call(self, node: relax.Call) -> Expr:
        if op_name(node) != "relax.nn.conv3d" or not is_constant(node.args[1]):
            return node
        attrs = node.attrs
        padding = [int(extent) for extent in attrs.padding]
        x = node.args[0]
        if padding[0] or padding[3]:
            x = self.emit(relax.op.nn.pad(x, [0, 0, 0, 0, padding[0], padding[3], 0, 0, 0, 0], "constant", 0.0))
        count, outputs, depth, height, width = shape_of(self.builder.normalize(node))
        # Depth next to the batch: an output depth is one more image.
        images = self.emit(relax.op.permute_dims(x, [0, 2, 1, 3, 4]))
        parts = [self._part(node, images, k, depth) for k in range(shape_of(node.args[1])[2])]
        total = functools.reduce(lambda a, b: self.emit(relax.op.add(a, b)), parts)
        stacked = self.emit(relax.op.reshape(total, (count, depth, outputs, height, width)))
        return relax.op.permute_dims(stacked, [0, 2, 1, 3, 4])

    def _part(self, node: relax.Call, images: relax.Var, k: int, depth: int) -> relax.Var:
        attrs = node.attrs
        stride, *strides = (int(extent) for extent in attrs.strides)
        dilation, *dilations = (int(extent) for extent in attrs.dilation)
        _, top, left, _, bottom, right = (int(extent) for extent in attrs.padding)
        first = k * dilation
        last = first + stride * (depth - 1) + 1
        chosen = self.emit(relax.op.strided_slice(images, [_DEPTH], [first], [last], [stride]))
        count, depths, *image = shape_of(chosen)
        convolved = relax.op.nn.conv2d(
            self.emit(relax.op.reshape(chosen, (count * depths, *image))),
            constant(array_of(node.args[1])[:, :, k]),
            strides=strides,
            padding=[top, left, bottom, right],
            dilation=dilations,
            groups=int(attrs.groups),
        )
        return self.emit(named(convolved, f"{layer_name(node)}{PHASE}{k}"))


def slice_conv3d(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite every 3-D convolution whose weight is constant."""
    return _Slice().run(module)
