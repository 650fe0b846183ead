"""Drop the gradient's half of the straight-through idiom: in inference it adds zero.

Before: ``y = (s - c) + c`` with ``s`` of a small value domain, typically signs, and ``c`` the surrogate.
After:  ``y = s``.
Exact up to the rounding of the two operations, which trained models carry as noise around ±1.
"""

from __future__ import annotations

import tvm
from tvm import relax

from relay_passes.domain_rewriter import DomainRewriter
from relay_passes.rewrite import Expr, op_name


class _Collapse(DomainRewriter):
    def call(self, node: relax.Call) -> Expr:
        kept = self._kept(node)
        return node if kept is None else kept

    def _kept(self, node: relax.Call) -> Expr | None:
        """Return ``s`` if the call completes ``(s - c) + c``, ``c + (s - c)`` or ``(s + c) - c``."""
        inverse = {"relax.add": "relax.subtract", "relax.subtract": "relax.add"}.get(op_name(node) or "")
        if inverse is None:
            return None
        pairs = [tuple(node.args)] + ([tuple(node.args)[::-1]] if inverse == "relax.subtract" else [])
        for inner, surrogate in pairs:
            made = self.definition(inner)
            undone = op_name(made) == inverse and made.args[1].same_as(surrogate)
            if undone and self.domains.of(made.args[0]) is not None:
                return made.args[0]
        return None


def collapse_straight_through(module: tvm.IRModule) -> tvm.IRModule:
    """Replace ``(s - c) + c`` by ``s`` wherever ``s`` takes few values."""
    return _Collapse().run(module)
