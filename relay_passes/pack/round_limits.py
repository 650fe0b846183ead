"""Compare with normal numbers alone, for vectors that take subnormal ones for zero.

Before: ``pack(x, tau)`` with ``tau`` the least float32 above zero: the sign that takes zero for -1.
After:  ``pack(x, tau)`` with ``tau`` the least normal one.

To a vector that flushes, ``0 >= 1.4e-45`` is ``0 >= 0``. No result of such a vector lies between zero and the least
normal number, so a limit in between can as well be the upper end, and one below zero can be zero.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tvm

from relay_passes import dialect
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, op_name

_LEAST_NORMAL = np.finfo(np.float32).smallest_normal


class _Round(Rewriter):
    def call(self, node: tvm.relax.Call) -> Expr:
        if op_name(node) != "relax.bnn.pack" or dialect.dtype_of(node.args[0]) != "float32":
            return node
        limits = array_of(node.args[1])
        rounded = normal_limits(limits)
        if np.array_equal(rounded, limits, equal_nan=True):
            return node
        x, _, flip = node.args
        return tvm.relax.Call(node.op, [x, constant(rounded), flip], node.attrs, node.ty_args, node.span)


def normal_limits(limits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the least number that is no subnormal from each float32 limit on; NaN stays."""
    above = (limits > 0) & (limits < _LEAST_NORMAL)
    below = (limits < 0) & (limits > -_LEAST_NORMAL)
    return np.where(above, _LEAST_NORMAL, np.where(below, np.float32(0), limits)).astype(np.float32)


def round_limits(module: tvm.IRModule) -> tvm.IRModule:
    """Move the limits of every comparison of float32 numbers to normal ones."""
    return _Round().run(module)
