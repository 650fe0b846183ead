"""Turn whatever stands between a binary layer and the next sign into one integer comparison per channel.

Before: ``pack(f(dot), 0)`` with ``f`` a per-channel chain of scale, bias, batch norm, activation …
After:  ``pack(dot, tau, flip)``.

The float32 expression is evaluated on *every* integer that the layer can produce, so the comparison agrees with it
exactly, rounding included. A channel that does not switch exactly once (a PReLU of negative slope can switch twice)
keeps the whole layer's expression.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.evaluate import ELEMENTWISE, Array, evaluate
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, op_name
from schedules import bits

#: Integers x channels that are evaluated at a time: some 16 MB an operator.
MOST_TRIED = 1 << 22
_LAYERS = frozenset({"relax.bnn.packed_conv2d", "relax.bnn.packed_dense"})


class _Form(Rewriter):
    def call(self, node: relax.Call) -> Expr:
        if op_name(node) != "relax.bnn.pack":
            return node
        dot = self._dot_below(node.args[0])
        if dot is None or dot.same_as(node.args[0]):
            return node
        layer = self.definition(dot)
        reach = reachable(layer)
        channels = dialect.shape_of(node.args[0])[-1]
        step = max(1, MOST_TRIED // len(reach))
        found = [
            switches(self._is_on(node, dot, reach, slice(first, min(first + step, channels))), reach)
            for first in range(0, channels, step)
        ]
        if any(switch is None for switch in found):
            return node
        tau, flip = (np.concatenate(parts) for parts in zip(*(switch for switch in found if switch), strict=True))
        word_bits, groups = int(node.attrs["word_bits"]), int(node.attrs["groups"])
        flip_words = array_of(node.args[2]) ^ bits.pack_bools(flip, word_bits, groups)
        return dialect.pack(dot, constant(tau), constant(flip_words), word_bits, groups)

    def _dot_below(self, value: Expr) -> relax.Var | None:
        """Return the one binary layer's result that a value is a per-channel function of."""
        made = self.definition(value)
        if op_name(made) in _LAYERS:
            return value
        if op_name(made) not in ELEMENTWISE:
            return None
        found: relax.Var | None = None
        for arg in made.args:
            if not isinstance(arg.ty, relax.TensorType) or is_per_channel(arg):
                continue
            dot = None if is_constant(arg) else self._dot_below(arg)
            if dot is None or (found is not None and not found.same_as(dot)):
                return None
            found = dot
        return found

    def _is_on(
        self, pack: relax.Call, dot: relax.Var, reach: npt.NDArray[np.int32], channels: slice
    ) -> npt.NDArray[np.bool_]:
        """Return ``(integers, channels)``: the bits that ``pack`` writes, before its flip."""
        value = self._evaluate(pack.args[0], dot, reach[:, None], channels)
        on = value >= self._evaluate(pack.args[1], dot, reach[:, None], channels)
        return np.broadcast_to(on, (len(reach), channels.stop - channels.start))

    def _evaluate(self, value: Expr, dot: relax.Var, tried: Array, channels: slice) -> Array:
        """Return a value for every tried integer of ``dot`` and the given channels."""
        if value.same_as(dot):
            return tried
        if is_constant(value):
            values = array_of(value).reshape(-1)
            return values[channels] if len(values) > 1 else values
        made = self.definition(value)
        tensors = [arg for arg in made.args if isinstance(arg.ty, relax.TensorType)]
        return evaluate(made, [self._evaluate(arg, dot, tried, channels) for arg in tensors])


def is_per_channel(value: Expr) -> bool:
    """Tell whether a value is a constant that varies along the last axis at most."""
    return is_constant(value) and all(extent == 1 for extent in dialect.shape_of(value)[:-1])


def reachable(layer: relax.Call) -> npt.NDArray[np.int32]:
    """Return, ascending, every integer that a packed layer can produce, and perhaps a few more."""
    words = math.prod(dialect.shape_of(layer.args[1])[1:-1])
    most = words * int(dialect.dtype_of(layer.args[1]).removeprefix("uint"))
    return np.arange(-most, most + 1, dtype=np.int32)


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


def form_thresholds(module: tvm.IRModule) -> tvm.IRModule:
    """Replace float chains between binary layers by integer thresholds."""
    return _Form().run(module)
