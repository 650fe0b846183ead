"""Multiply by an operand's scale after the layer instead of before, where that is the same.

Before: ``conv2d(s * b, w)`` with ``s`` of few values and ``b`` one number per sample, as XNOR-Net has it; or
``matmul(s * b, transpose(t / d))`` with one number per token on either side or both.
After:  ``conv2d(s, w) * b`` and ``matmul(s, transpose(t)) * b / transpose(d)``: the operands take few values again.
"""

from __future__ import annotations

from collections.abc import Sequence

import tvm
from tvm import relax

from relay_passes.analysis.factors import summed_axes
from relay_passes.analysis.layers import is_layer
from relay_passes.analysis.planes import planes_of
from relay_passes.analysis.scales import Scaled, Scales, varying_axes
from relay_passes.analysis.sums import Factor
from relay_passes.domain_rewriter import DomainRewriter
from relay_passes.rewrite import Expr, is_constant, op_name, with_span


class _Hoist(DomainRewriter):
    def __init__(self) -> None:
        super().__init__()
        self._scales = Scales(self.definition, self.domains, self.emit)

    def call(self, node: relax.Call) -> Expr:
        if not is_layer(node):
            return node
        operands: list[Expr] = list(node.args[:2])
        factors: list[Factor] = []
        for place, axes in enumerate(summed_axes(node)):
            split = self._split(node.args[place], axes)
            if split is not None:
                operands[place] = split.few
                factors += split.scales
        between = op_name(node) == "relax.matmul" and not is_constant(node.args[1])
        if not factors or (between and not all(map(self._is_few, operands))):
            return node
        plain = relax.Call(node.op, [*operands, *node.args[2:]], node.attrs, node.ty_args)
        return self._scaled(self.emit(with_span(plain, node.span)), factors)

    def _split(self, operand: Expr, summed: set[int]) -> Scaled | None:
        """Return an operand's parts if its scale does not vary along what is summed."""
        split = None if is_constant(operand) else self._scales.split(operand)
        return split if split is not None and split.scales and not varying_axes(split) & summed else None

    def _is_few(self, operand: Expr) -> bool:
        return planes_of(self.domains.of(operand)) is not None

    def _scaled(self, result: relax.Var, factors: Sequence[Factor]) -> Expr:
        made: Expr = result
        for factor in factors:
            operator = relax.op.divide if factor.divides else relax.op.multiply
            made = self.emit(operator(made, factor.value))
        return made


def hoist_input_scale(module: tvm.IRModule) -> tvm.IRModule:
    """Move the scales of few-valued operands behind channels-first convolutions and products."""
    return _Hoist().run(module)
