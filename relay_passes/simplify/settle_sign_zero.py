"""Take the sign of zero for +1 or for -1, where the user prefers speed to the model's meaning.

Before: ``sign(x)``, which is 0 at 0. After: ``bnn.sign(x, zero)``, of two values.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.rewrite import Expr, Rewriter, op_name

#: What the sign of an exact zero is: 0 as in the model, +1, or -1.
SignZero: TypeAlias = Literal["exact", "plus", "minus"]
ONE_OF_ZERO: dict[SignZero, int] = {"plus": 1, "minus": -1}


class _Settle(Rewriter):
    def __init__(self, zero: int) -> None:
        super().__init__()
        self._zero = zero

    def call(self, node: relax.Call) -> Expr:
        return dialect.sign(node.args[0], self._zero) if op_name(node) == "relax.sign" else node


def settle_sign_zero(module: tvm.IRModule, sign_zero: SignZero) -> tvm.IRModule:
    """Replace every sign of an activation, unless the sign of zero is to stay exact."""
    return module if sign_zero == "exact" else _Settle(ONE_OF_ZERO[sign_zero]).run(module)
