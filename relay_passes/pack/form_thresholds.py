"""Turn whatever stands between a binary layer and the next sign into one integer comparison per channel.

Before: ``pack(f(dot), 0)`` with ``f`` a per-channel chain of scale, bias, batch norm, activation …
After:  ``pack(dot, tau, flip)``, or ``pack(uint32(dot - first), length, flip)`` where a channel switches twice.

The float32 expression is evaluated on *every* integer that the layer can produce, so the comparison agrees with it
exactly, rounding included. Two switches bound a range, which one comparison without signs tells from what lies around
it: a PReLU of negative slope has them, and so has a GELU, which rounds to minus zero far below zero. A channel that
switches more often keeps the whole layer's expression.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.analysis.per_channel import Chain, integers_to, portions
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, op_name
from schedules.kernels.binary import bits

_PRODUCT = "relax.bnn.packed_matmul"
_LAYERS = frozenset({"relax.bnn.packed_conv2d", "relax.bnn.packed_dense", _PRODUCT})


class _Form(Rewriter):
    def call(self, node: relax.Call) -> Expr:
        if op_name(node) != "relax.bnn.pack":
            return node
        chain = Chain(self.definition, lambda made: op_name(made) in _LAYERS)
        dot = chain.source(node.args[0])
        if dot is None or dot.same_as(node.args[0]):
            return node
        reach = reachable(self.definition(dot))
        found = [
            (switches(on, reach), stretch(on, reach))
            for channels in portions(dialect.shape_of(node.args[0])[-1], len(reach))
            for on in [is_on(chain, node, dot, reach, channels)]
        ]
        once, twice = ([answer for answer in answers if answer is not None] for answers in zip(*found, strict=True))
        if len(once) == len(found):
            tau, flip = map(np.concatenate, zip(*once, strict=True))
            return _packed(node, dot, tau, flip)
        if len(twice) == len(found):
            first, length, flip = map(np.concatenate, zip(*twice, strict=True))
            place = self.emit(relax.op.subtract(dot, constant(first)))
            return _packed(node, self.emit(relax.op.astype(place, "uint32")), length, flip)
        return node


def _packed(node: relax.Call, value: relax.Var, tau: npt.NDArray[Any], flip: npt.NDArray[np.bool_]) -> relax.Call:
    """Return a pack that compares another value."""
    word_bits, groups = int(node.attrs["word_bits"]), int(node.attrs["groups"])
    flip_words = array_of(node.args[2]) ^ bits.pack_bools(flip, word_bits, groups)
    return dialect.pack(value, constant(tau), constant(flip_words), word_bits, groups)


def is_on(
    chain: Chain, pack: relax.Call, dot: relax.Var, reach: npt.NDArray[np.int32], channels: slice
) -> npt.NDArray[np.bool_]:
    """Return ``(integers, channels)``: the bits that ``pack`` writes, before its flip."""
    value, tau = (chain.of_sums(operand, dot, reach[:, None], channels) for operand in pack.args[:2])
    return np.broadcast_to(value >= tau, (len(reach), channels.stop - channels.start))


def reachable(layer: relax.Call) -> npt.NDArray[np.int32]:
    """Return, ascending, every integer that a packed layer can produce, and perhaps a few more."""
    shape = dialect.shape_of(layer.args[1])
    words = shape[-1] if op_name(layer) == _PRODUCT else math.prod(shape[1:-1])
    most = words * int(dialect.dtype_of(layer.args[1]).removeprefix("uint"))
    return integers_to(most)


def switches(
    on: npt.NDArray[np.bool_], values: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]] | None:
    """Return ``tau`` and ``flip`` with ``on == (value >= tau) ^ flip`` for every value, or None if there are none.

    Parameters
    ----------
    on
        ``(values, channels)``.
    values
        Ascending.
    """
    flip = on[0] & ~on[-1]
    rising = on ^ flip
    if (np.diff(rising.astype(np.int8), axis=0) < 0).any():
        return None
    past_the_end = values[-1] + 1
    tau = np.where(rising.any(axis=0), values[rising.argmax(axis=0)], past_the_end)
    return tau.astype(np.int32), flip


def stretch(
    on: npt.NDArray[np.bool_], values: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32], npt.NDArray[np.bool_]] | None:
    """Return ``first``, ``length`` and ``flip`` with ``on == (uint32(value - first) >= length) ^ flip``, or None.

    Parameters
    ----------
    on
        ``(values, channels)``.
    values
        Consecutive.
    """
    flip = ~on[-1]
    inside = on ^ on[-1]
    starts = np.diff(inside.astype(np.int8), axis=0, prepend=0) > 0
    if (starts.sum(axis=0) > 1).any():
        return None
    return values[inside.argmax(axis=0)], inside.sum(axis=0).astype(np.uint32), flip


def form_thresholds(module: tvm.IRModule) -> tvm.IRModule:
    """Replace float chains between binary layers by integer thresholds."""
    return _Form().run(module)
