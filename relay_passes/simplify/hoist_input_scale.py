"""Multiply by an input's scale after the layer instead of before, where that is the same.

Before: ``conv2d(s * b, w)`` with ``s`` of few values and ``b`` one number per sample, as XNOR-Net has it; or
``matmul(s * b, w)`` with one number per row.
After:  ``conv2d(s, w) * b``: the layer's input takes few values again.
"""

from __future__ import annotations

import tvm
from tvm import relax

from relay_passes.dialect import shape_of
from relay_passes.domain_rewriter import DomainRewriter
from relay_passes.rewrite import Expr, is_constant, op_name, with_span

#: Axes, from the last, over which a layer sums: a scale must not vary along them.
_SUMMED = {"relax.nn.conv2d": 3, "relax.matmul": 1}


class _Hoist(DomainRewriter):
    def call(self, node: relax.Call) -> Expr:
        return self._reshape(node) if op_name(node) == "relax.reshape" else self._layer(node)

    def _reshape(self, node: relax.Call) -> Expr:
        """Move a scale per row behind a reshape that keeps the rows, as PyTorch flattens a linear layer's input."""
        product, shape = self.definition(node.args[0]), shape_of(self.builder.normalize(node))
        if op_name(product) != "relax.multiply" or not shape:
            return node
        for few, scale in (tuple(product.args), tuple(product.args)[::-1]):
            same_rows = shape_of(few)[-1:] == shape[-1:] and shape_of(scale) == (*shape_of(few)[:-1], 1)
            if same_rows and not is_constant(scale) and self.domains.of(few) is not None:
                rows = self.emit(relax.op.reshape(few, shape))
                return relax.op.multiply(rows, self.emit(relax.op.reshape(scale, (*shape[:-1], 1))))
        return node

    def _layer(self, node: relax.Call) -> Expr:
        product = self.definition(node.args[0]) if op_name(node) in _SUMMED else None
        if product is None or op_name(product) != "relax.multiply":
            return node
        for few, scale in (tuple(product.args), tuple(product.args)[::-1]):
            if self._fits(few, scale, _SUMMED[str(node.op.name)], shape_of(node.args[0])):
                plain = relax.Call(node.op, [few, *node.args[1:]], node.attrs, node.ty_args)
                return relax.op.multiply(self.emit(with_span(plain, node.span)), scale)
        return node

    def _fits(self, few: Expr, scale: Expr, summed: int, shape: tuple[int, ...]) -> bool:
        if is_constant(scale) or self.domains.of(few) is None or shape_of(few) != shape:
            return False
        extents = shape_of(scale)
        return len(extents) == len(shape) and all(extent == 1 for extent in extents[-summed:])


def hoist_input_scale(module: tvm.IRModule) -> tvm.IRModule:
    """Move the scales of few-valued inputs behind channels-first convolutions and products."""
    return _Hoist().run(module)
