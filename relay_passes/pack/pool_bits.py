"""Pool bits instead of numbers: a maximum is at least the threshold if any of its window is.

Before: ``pack(max_pool2d(x), tau, flip)``. After: ``any_pool(pack(x, tau, 0), flip)``, an OR of words.

The layer before the pool then writes bits alone. Padding, minus infinity to a maximum, is zero bits to an OR.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.rewrite import Expr, Rewriter, array_of, bindings, constant, op_name, readers
from schedules.kernels.window import Window

_PACK, _POOL = "relax.bnn.pack", "relax.nn.max_pool2d"


class _PoolBits(Rewriter):
    def begin(self, function: relax.Function) -> None:
        """Find the pools that one pack alone reads."""
        counts = readers(function)
        self._pools = {b.var for b in bindings(function) if op_name(b.value) == _POOL and counts[b.var] == 1}
        self._found: set[relax.Var] = set()

    def copy(self, binding: relax.VarBinding) -> None:
        super().copy(binding)
        if binding.var in self._pools:
            self._found.add(self.renamed[binding.var])

    def call(self, node: relax.Call) -> Expr:
        if op_name(node) != _PACK or node.args[0] not in self._found or node.attrs["classes"]:
            return node
        pool = self.definition(node.args[0])
        window = _window_of(pool)
        if window is None:
            return node
        x, (_, tau, flip) = pool.args[0], node.args
        word_bits, groups = int(node.attrs["word_bits"]), int(node.attrs["groups"])
        plain = constant(np.zeros_like(array_of(flip)))
        return dialect.any_pool(self.emit(dialect.pack(x, tau, plain, word_bits, groups)), flip, window)


def _window_of(pool: relax.Call) -> Window | None:
    """Return the window of an NHWC pool, None for other layouts and for windows that hang over the edge."""
    attrs = pool.attrs
    if str(attrs.layout) != "NHWC" or bool(attrs.ceil_mode):
        return None
    size, strides, dilation = (_pair(extents) for extents in (attrs.pool_size, attrs.strides, attrs.dilation))
    top, left, bottom, right = (int(extent) for extent in attrs.padding)
    return Window(size, strides, (top, left, bottom, right), dilation)


def _pair(extents: Sequence[object]) -> tuple[int, int]:
    vertical, horizontal = (int(extent) for extent in extents)  # type: ignore[call-overload]
    return vertical, horizontal


def pool_bits(module: tvm.IRModule) -> tvm.IRModule:
    """Move maximum pools of a packed module behind the packing."""
    return _PoolBits().run(module)
