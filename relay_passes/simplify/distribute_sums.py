"""Apply a layer to each term of a sum of few-valued terms, where the sum itself takes many values.

Before: ``conv2d(s * a + t * b, w)`` with signs ``s`` and ``t`` and scales ``a`` and ``b``, as HORQ and ABC-Net have it.
After:  ``conv2d(s * a, w) + conv2d(t * b, w)``: layers whose inputs take few values, up to a scale.
"""

from __future__ import annotations

import functools

import tvm
from tvm import relax

from relay_passes.analysis.layers import layer_name
from relay_passes.analysis.part_names import TERM
from relay_passes.analysis.planes import planes_of
from relay_passes.dialect import shape_of
from relay_passes.domain_rewriter import DomainRewriter
from relay_passes.rewrite import Expr, is_constant, named, op_name

#: Operators that are linear in their first argument, when the second is a constant.
_LINEAR = frozenset({"relax.nn.conv1d", "relax.nn.conv2d", "relax.matmul"})
MOST_TERMS = 5


class _Distribute(DomainRewriter):
    def call(self, node: relax.Call) -> Expr:
        if op_name(node) not in _LINEAR or not is_constant(node.args[1]) or self._is_few(node.args[0]):
            return node
        terms = self._terms(node.args[0])
        if not 1 < len(terms) <= MOST_TERMS or not all(self._is_few(self._unscaled(term)) for term in terms):
            return node
        parts = [self.emit(_of_term(node, term, number)) for number, term in enumerate(terms)]
        *first, last = parts
        return relax.op.add(functools.reduce(lambda one, other: self.emit(relax.op.add(one, other)), first), last)

    def _is_few(self, value: Expr) -> bool:
        return planes_of(self.domains.of(value)) is not None

    def _terms(self, value: Expr) -> list[Expr]:
        """Return what a value is the sum of; a few-valued sum is one term."""
        made = self.definition(value)
        if op_name(made) != "relax.add" or self._is_few(value):
            return [value]
        if any(shape_of(arg) != shape_of(value) for arg in made.args):
            return [value]
        return [term for arg in made.args for term in self._terms(arg)]

    def _unscaled(self, term: Expr) -> Expr:
        """Return the full-sized factor of a product with something smaller."""
        made = self.definition(term)
        if op_name(made) == "relax.multiply":
            for factor, scale in (tuple(made.args), tuple(made.args)[::-1]):
                if shape_of(factor) == shape_of(term) and shape_of(scale) != shape_of(term):
                    return factor
        return term


def _of_term(node: relax.Call, term: Expr, number: int) -> Expr:
    call = relax.Call(node.op, [term, *node.args[1:]], node.attrs, node.ty_args)
    return named(call, f"{layer_name(node)}{TERM}{number}")


def distribute_sums(module: tvm.IRModule) -> tvm.IRModule:
    """Split layers over sums of few-valued terms."""
    return _Distribute().run(module)
