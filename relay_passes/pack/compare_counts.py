"""Compare the popcount itself where a layer's result is only ever packed: nothing is left to compute after the count.

Before: ``pack(packed_conv2d(x, w, border), tau, flip)``, with ``dot = border - 2 * count`` and bits ``dot >= tau``.
After:  ``pack(count_conv2d(x, w), limit, ~flip)``, with ``limit = floor((border - tau) / 2) + 1``.

``border - 2 * count >= tau`` says the same as ``count <= (border - tau) / 2``, the opposite of ``count >= limit``. The
border correction moves into the limits, of which every kind of output position has its own.

A product of activations may have rows that fill no word, as 197 patches do. Then more are counted, up to a whole word,
and their limit is one that no count reaches: the words are the same, and packed in the kernel.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.rewrite import Expr, Rewriter, array_of, bindings, constant, op_name
from schedules.kernels.binary import bits

_CONVOLUTION, _PRODUCT = "relax.bnn.packed_conv2d", "relax.bnn.packed_matmul"
_LAYERS = frozenset({_CONVOLUTION, "relax.bnn.packed_dense", _PRODUCT})
_PACK = "relax.bnn.pack"


class _Compare(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self._only_packed: set[relax.Var] = set()
        self._counts: dict[relax.Var, relax.Var] = {}
        self._layers: dict[relax.Var, relax.Call] = {}

    def begin(self, function: relax.Function) -> None:
        """Find the layers that only packs read."""
        self._only_packed = {b.var for b in bindings(function) if op_name(b.value) in _LAYERS}
        self._only_packed.discard(function.body.body)
        products = {b.var for b in bindings(function) if op_name(b.value) == _PRODUCT}
        for binding in bindings(function):
            if isinstance(binding.value, relax.Call):
                read = binding.value.args[1:] if _can_compare(binding.value, products) else binding.value.args
                self._only_packed.difference_update(arg for arg in read if isinstance(arg, relax.Var))
            elif isinstance(binding.value, relax.Tuple):
                self._only_packed.difference_update(binding.value.fields)

    def copy(self, binding: relax.VarBinding) -> None:
        """Remember which new variable stands for a layer that only packs read."""
        super().copy(binding)
        if binding.var in self._only_packed:
            self._layers[self.renamed[binding.var]] = self.definition(self.renamed[binding.var])

    def call(self, node: relax.Call) -> Expr:
        layer = self._layers.get(node.args[0]) if op_name(node) == _PACK else None
        return node if layer is None else self._compared(node, layer)

    def _compared(self, node: relax.Call, layer: relax.Call) -> Expr:
        counts = self._count(node.args[0], layer, node)
        tau, flip = array_of(node.args[1]), array_of(node.args[2])
        channels = len(tau)
        word_bits, groups = int(node.attrs["word_bits"]), int(node.attrs["groups"])
        opposite = flip ^ bits.pack_bools(np.ones(channels, np.bool_), word_bits, groups)
        if op_name(layer) != _CONVOLUTION:
            limits = _limits(np.full(channels, int(layer.attrs["depth"])), tau)
            more = dialect.shape_of(counts)[-1] - channels
            limits = np.pad(limits, (0, more), constant_values=np.iinfo(limits.dtype).max)
            return dialect.pack(
                counts, _fitting(limits, dialect.dtype_of(counts)), constant(opposite), word_bits, groups
            )
        border = array_of(layer.args[2])[..., :channels]
        _, height, width, _ = dialect.shape_of(layer.args[0])
        axes = dialect.window_of(layer).axes(height, width)
        limits = _limits(border, tau)
        if limits.shape[:2] == (1, 1):
            return dialect.pack(
                counts, _fitting(limits[0, 0], dialect.dtype_of(counts)), constant(opposite), word_bits, groups
            )
        classes = [dialect.class_attribute(axis) for axis in axes]
        fitting = _fitting(limits, dialect.dtype_of(counts))
        return dialect.pack(counts, fitting, constant(opposite), word_bits, groups, classes)

    def _count(self, dot: relax.Var, layer: relax.Call, pack: relax.Call) -> relax.Var:
        """Return the counts of a layer, made once however often they are packed."""
        if dot not in self._counts:
            made = _counted(layer, pack)
            self._counts[dot] = self.emit(relax.Call(made.op, made.args, made.attrs, made.ty_args, layer.span))
        return self._counts[dot]


def _can_compare(node: relax.Call, products: set[relax.Var]) -> bool:
    """Tell whether a call packs what can be compared as counts; a product packed in groups cannot fill their words."""
    return op_name(node) == _PACK and (int(node.attrs["groups"]) == 1 or node.args[0] not in products)


def _counted(layer: relax.Call, pack: relax.Call) -> relax.Call:
    x, weights, *_ = layer.args
    if op_name(layer) == _PRODUCT:
        word_bits, lanes = int(pack.attrs["word_bits"]), int(layer.attrs["lanes"])
        return dialect.count_matmul(x, weights, lanes, _whole_words(dialect.shape_of(layer)[-1], word_bits, lanes))
    channels = int(layer.attrs["channels"])
    if op_name(layer) == _CONVOLUTION:
        return dialect.count_conv2d(x, weights, dialect.window_of(layer), channels, int(layer.attrs["groups"]))
    return dialect.count_dense(x, weights, channels)


def _whole_words(rows: int, word_bits: int, lanes: int) -> int:
    """Return how many rows to count for words and vectors to be whole."""
    whole = math.lcm(word_bits, lanes)
    return -(-rows // whole) * whole


def _limits(border: npt.NDArray[np.integer], tau: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return the least count that is too many for the comparison to hold."""
    return (border.astype(np.int64) - tau.astype(np.int64)) // 2 + 1


def _fitting(limits: npt.NDArray[np.int64], dtype: str) -> Expr:
    """Return limits in the dtype of the counts; no count is below zero, and none reaches the dtype's largest value."""
    return constant(np.clip(limits, 0, np.iinfo(dtype).max).astype(dtype))


def compare_counts(module: tvm.IRModule) -> tvm.IRModule:
    """Replace comparisons of dot products by comparisons of the counts behind them."""
    return _Compare().run(module)
