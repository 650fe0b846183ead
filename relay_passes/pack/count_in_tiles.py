"""Let AMX count the mismatches of the layers that it counts faster than popcount does.

Before: ``packed_conv2d(x, w, border)``, ``count_dense(x, w)``, …, of which AMX is the cheaper way.
After:  ``tiled_conv2d(x, bits, ones, border)``, ``tiled_count_dense(x, bits, ones)``, …: the same results, with the
same bits of weights in the order in which they are unpacked.

Grouped convolutions stay with popcount: a group rarely fills a tile's depth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, op_name
from schedules.amx.blocks import Layer
from schedules.amx.cost import is_cheaper
from schedules.amx.tiles import LANES, tiled_weights

#: Which of two ways a layer goes.
Judge: TypeAlias = Callable[[Layer], bool]
_CONVOLUTIONS = frozenset({"relax.bnn.packed_conv2d", "relax.bnn.count_conv2d"})
_LINEAR = frozenset({"relax.bnn.packed_dense", "relax.bnn.count_dense"})
_LEAST_AXES = 2


class _CountInTiles(Rewriter):
    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self._judge = judge

    def call(self, node: relax.Call) -> Expr:
        layer = _layer(node)
        if layer is None or not self._judge(layer):
            return node
        weights, ones = tiled_weights(array_of(node.args[1]))
        return dialect.tiled(node, constant(weights), constant(ones))


def _layer(node: relax.Call) -> Layer | None:
    """Return what tiles have to know of a layer; None if they cannot count it."""
    name = op_name(node)
    if name not in _CONVOLUTIONS | _LINEAR:
        return None
    words, (blocks, *_, lanes) = dialect.shape_of(node.args[0]), dialect.shape_of(node.args[1])
    grouped = name in _CONVOLUTIONS and int(node.attrs["groups"]) > 1
    if grouped or lanes != LANES or len(words) < _LEAST_AXES:
        return None
    return Layer(words, blocks, dialect.window_of(node) if name in _CONVOLUTIONS else None)


def count_in_tiles(module: tvm.IRModule, judge: Judge = is_cheaper) -> tvm.IRModule:
    """Rewrite the layers of a packed module that AMX counts faster; ``judge`` says which."""
    return _CountInTiles(judge).run(module)
