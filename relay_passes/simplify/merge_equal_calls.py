"""Compute what is spelled several times once.

Before: ``s1 = where(x >= 0, 1, -1); q = dense(s1); s2 = where(x >= 0, 1, -1); k = dense(s2)``, as attention's queries,
        keys and values binarize one input each for itself.
After:  ``s1 = where(x >= 0, 1, -1); q = dense(s1); k = dense(s1)``.

Constants are compared by their values; TVM's own EliminateCommonSubexpr takes two constants for different ones. Layers
stay, each with its name: reports list them all.
"""

from __future__ import annotations

import collections

import tvm
import tvm_ffi
from tvm import relax

from relay_passes.analysis.layers import is_layer
from relay_passes.rewrite import Expr, Rewriter, array_of, is_constant

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
        alike = self._calls[node.op, *(arg for arg in node.args if isinstance(arg, relax.Var))]
        known = next((var for call, var in alike if _are_equal(call, node)), None)
        if known is None:
            known = self.emit(node, str(binding.var.name))
            alike.append((node, known))
        self.renamed[binding.var] = known


def _may_merge(node: relax.Call) -> bool:
    """Tell whether a call is no layer, and gives the same every time."""
    return not is_layer(node) and isinstance(node.op, tvm.ir.Op) and bool(node.op.get_attr("FPurity"))


def _are_equal(one: relax.Call, other: relax.Call) -> bool:
    return (
        len(one.args) == len(other.args)
        and tvm_ffi.structural_equal(one.attrs, other.attrs)
        and all(map(_is_same, one.args, other.args))
    )


def _is_same(one: Expr, other: Expr) -> bool:
    if is_constant(one) and is_constant(other):
        mine, others = array_of(one), array_of(other)
        # By their bytes: a zero is not minus zero.
        return (mine.dtype, mine.shape) == (others.dtype, others.shape) and mine.tobytes() == others.tobytes()
    if isinstance(one, relax.Var) or isinstance(other, relax.Var) or is_constant(one) or is_constant(other):
        return bool(one.same_as(other))
    return bool(tvm_ffi.structural_equal(one, other))


def merge_equal_calls(module: tvm.IRModule) -> tvm.IRModule:
    """Bind what equal calls compute once."""
    return _Merge().run(module)
