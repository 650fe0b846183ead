"""Compute what is spelled several times once.

Before: ``s1 = where(x >= 0, 1, -1); q = dense(s1); s2 = where(x >= 0, 1, -1); k = dense(s2)``, as attention's queries,
        keys and values binarize one input each for itself.
After:  ``s1 = where(x >= 0, 1, -1); q = dense(s1); k = dense(s1)``.

A surrogate that is written out twice becomes one value, before the sums of straight-through estimators are looked at.
Operands of a sum or a product may come in either order. Constants are compared by their values; TVM's own
EliminateCommonSubexpr takes two constants for different ones. Layers stay, each with its name: reports list them all.
"""

from __future__ import annotations

import collections

import tvm
import tvm_ffi
from tvm import relax

from relay_passes.analysis.layers import is_layer
from relay_passes.rewrite import Expr, Rewriter, array_of, is_constant

#: What gives the same whichever operand comes first.
_COMMUTATIVE = frozenset(
    f"relax.{name}"
    for name in ("add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and", "logical_or")
)
#: An operator and the variables that it reads.
_Key = tuple[Expr, ...]


class _Merge(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[_Key, list[tuple[relax.Call, relax.Var]]] = collections.defaultdict(list)

    def copy(self, binding: relax.VarBinding) -> None:
        node = binding.value
        if not isinstance(node, relax.Call) or not _may_merge(node):
            super().copy(binding)
            return
        node = self.substituted(node)
        alike = self._calls[node.op, *_in_order(node.op, [arg for arg in node.args if isinstance(arg, relax.Var)])]
        known = next((var for call, var in alike if _are_equal(call, node)), None)
        if known is None:
            known = self.emit(node, str(binding.var.name))
            alike.append((node, known))
        self.renamed[binding.var] = known


def _may_merge(node: relax.Call) -> bool:
    """Tell whether a call is no layer, and gives the same every time."""
    return not is_layer(node) and isinstance(node.op, tvm.ir.Op) and bool(node.op.get_attr("FPurity"))


def _in_order(operator: tvm.ir.Op, args: list[Expr]) -> list[Expr]:
    """Return operands in an order that does not depend on how they were written, where the result does not either."""
    return sorted(args, key=hash) if str(operator.name) in _COMMUTATIVE else args


def _are_equal(one: relax.Call, other: relax.Call) -> bool:
    if len(one.args) != len(other.args) or not tvm_ffi.structural_equal(one.attrs, other.attrs):
        return False
    turned = list(other.args)[::-1] if str(one.op.name) in _COMMUTATIVE else []
    return all(map(_is_same, one.args, other.args)) or (bool(turned) and all(map(_is_same, one.args, turned)))


def _is_same(one: Expr, other: Expr) -> bool:
    if is_constant(one) and is_constant(other):
        mine, others = array_of(one), array_of(other)
        # By their bytes: a zero is not minus zero.
        return (mine.dtype, mine.shape) == (others.dtype, others.shape) and mine.tobytes() == others.tobytes()
    if isinstance(one, relax.Var) or isinstance(other, relax.Var) or is_constant(one) or is_constant(other):
        return bool(one.same_as(other))
    return bool(tvm_ffi.structural_equal(one, other)) or _number(one) == _number(other) is not None


def _number(value: Expr) -> float | None:
    """Return the number that an operand is: 1 and 1.0 clip alike."""
    return float(value.value) if isinstance(value, tvm.tirx.IntImm | tvm.tirx.FloatImm) else None


def merge_equal_calls(module: tvm.IRModule) -> tvm.IRModule:
    """Bind what equal calls compute once."""
    return _Merge().run(module)
