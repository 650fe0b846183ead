"""Let convolutions pad for themselves, and take signs before padding with zeros.

Before: ``conv2d(pad(x, 0), w)``. After: ``conv2d(x, w)`` with the padding among its own.
Before: ``sign(pad(x, 0))``.      After: ``pad(sign(x), 0)``, which is the same: the sign of zero is zero.
"""

from __future__ import annotations

import tvm
from tvm import relax

from relay_passes.rewrite import Expr, Rewriter, op_name, with_span

_CONVOLUTIONS = {"relax.nn.conv1d": (relax.op.nn.conv1d, 1), "relax.nn.conv2d": (relax.op.nn.conv2d, 2)}


class _Absorb(Rewriter):
    def call(self, node: relax.Call) -> Expr:
        name = op_name(node)
        if name == "relax.sign" and self._is_zero_pad(node.args[0]):
            pad = self.definition(node.args[0])
            return relax.Call(pad.op, [self.emit(relax.op.sign(pad.args[0])), *pad.args[1:]], pad.attrs)
        if name in _CONVOLUTIONS and self._is_zero_pad(node.args[0]):
            return self._convolution(node, self.definition(node.args[0]))
        return node

    def _is_zero_pad(self, value: Expr) -> bool:
        made = self.definition(value)
        is_pad = op_name(made) == "relax.nn.pad" and str(made.attrs.pad_mode) == "constant"
        return is_pad and float(made.attrs.pad_value) == 0

    def _convolution(self, node: relax.Call, pad: relax.Call) -> Expr:
        convolution, axes = _CONVOLUTIONS[str(node.op.name)]
        widths = [int(width) for width in pad.attrs.pad_width]
        if any(widths[: -2 * axes]) or any(width < 0 for width in widths):
            return node
        before, after = widths[-2 * axes :: 2], widths[-2 * axes + 1 :: 2]
        attrs = node.attrs
        padding = [int(own) + more for own, more in zip(attrs.padding, before + after, strict=True)]
        absorbed = convolution(
            pad.args[0],
            node.args[1],
            strides=[int(extent) for extent in attrs.strides],
            padding=padding,
            dilation=[int(extent) for extent in attrs.dilation],
            groups=int(attrs.groups),
        )
        return with_span(absorbed, node.span)


def absorb_padding(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite zero padding in front of channels-first convolutions and signs."""
    return _Absorb().run(module)
