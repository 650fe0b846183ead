"""Pack the operands of binary operators into words: weights now, activations at run time.

Before: ``bnn.conv2d(bnn.sign(x), signs)``. After: ``bnn.packed_conv2d(bnn.pack(x, 0, 0), words, border)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, op_name
from schedules.kernels.binary import bits
from schedules.kernels.binary.border import border_table
from schedules.machines.isa import Isa


def block_channels(weight: npt.NDArray[Any], lanes: int) -> npt.NDArray[Any]:
    """Move output channels innermost, ``lanes`` at a time: ``(O, ...)`` to ``(ceil(O / lanes), ..., lanes)``.

    Channels past the last are zero.
    """
    blocks = -(-len(weight) // lanes)
    filled = np.pad(weight, [(0, blocks * lanes - len(weight))] + [(0, 0)] * (weight.ndim - 1))
    return np.moveaxis(filled.reshape(blocks, lanes, *weight.shape[1:]), 1, -1)


def packed_weights(
    signs: npt.NDArray[Any], border: npt.NDArray[np.int32], isa: Isa, groups: int
) -> tuple[npt.NDArray[np.unsignedinteger], npt.NDArray[np.int32]]:
    """Return a convolution's ``(O, ...)`` sign tensor in words, blocked, and its border table filled up to match.

    One vector of output channels reads one group's inputs, which may leave a block fewer lanes. So do a few channels:
    other lanes would count for nobody, and be most of what the layer stores.
    """
    lanes = int(np.gcd(len(signs) // groups, isa.binary_lanes))
    if groups == 1:
        lanes = min(isa.binary_lanes, 1 << (len(signs) - 1).bit_length())
    filled = np.pad(border, ((0, 0), (0, 0), (0, -len(signs) % lanes)))
    return block_channels(bits.pack(signs, isa.word_bits), lanes), filled


class _Pack(Rewriter):
    def __init__(self, isa: Isa) -> None:
        super().__init__()
        self._isa = isa
        self._words: dict[tuple[Expr, int, int], relax.Var] = {}

    def call(self, node: relax.Call) -> Expr:
        if op_name(node) == "relax.bnn.conv2d":
            return self._conv2d(node)
        if op_name(node) == "relax.bnn.dense":
            return self._dense(node)
        if op_name(node) == "relax.bnn.matmul":
            a, b = (self._packed(arg, 1) for arg in node.args)
            return dialect.packed_matmul(a, b, dialect.shape_of(node.args[0])[-1], self._isa.binary_lanes)
        return node

    def _conv2d(self, node: relax.Call) -> Expr:
        signs, groups, window = array_of(node.args[1]), int(node.attrs["groups"]), dialect.window_of(node)
        _, height, width, _ = dialect.shape_of(node.args[0])
        border = border_table(signs, window, height, width)
        if int(node.attrs["pad_sign"]) == -1:
            # Padded words are zero, which is what -1 looks like: every tap counts.
            border = np.full_like(border, signs[0].size)
        weights, filled = packed_weights(signs, border, self._isa, groups)
        words = self._packed(node.args[0], groups)
        return dialect.packed_conv2d(words, constant(weights), constant(filled), window, len(signs), groups)

    def _dense(self, node: relax.Call) -> Expr:
        signs = array_of(node.args[1])
        weights = block_channels(bits.pack(signs, self._isa.word_bits), self._isa.binary_lanes)
        return dialect.packed_dense(self._packed(node.args[0], 1), constant(weights), len(signs), signs.shape[1])

    def _packed(self, signs: Expr, groups: int) -> relax.Var:
        """Return the words of a sign tensor, packed once however many layers read them."""
        made = self.definition(signs)
        is_sign = op_name(made) == "relax.bnn.sign"
        source, zero = (made.args[0], int(made.attrs["zero"])) if is_sign else (signs, 1)
        if (source, groups, zero) not in self._words:
            self._words[source, groups, zero] = self._words_of(source, groups, zero)
        return self._words[source, groups, zero]

    def _words_of(self, x: Expr, groups: int, zero: int) -> relax.Var:
        """Return the words of a tensor's signs; a concatenation of whole words packs each of its parts."""
        made = self.definition(x)
        parts = list(self.definition(made.args[0]).fields) if op_name(made) == "relax.concat" else []
        along_channels = bool(parts) and int(made.attrs.axis) % len(dialect.shape_of(x)) == len(dialect.shape_of(x)) - 1
        whole = all(dialect.shape_of(part)[-1] % self._isa.word_bits == 0 for part in parts)
        if groups == 1 and along_channels and whole:
            words = [self._words_of(part, 1, zero) for part in parts]
            return self.emit(relax.op.concat(words, axis=-1))
        channels = dialect.shape_of(x)[-1]
        tau = constant(np.broadcast_to(_least(dialect.dtype_of(x), zero), (channels,)))
        flip = constant(bits.pack_bools(np.zeros(channels, np.bool_), self._isa.word_bits, groups))
        return self.emit(dialect.pack(x, tau, flip, self._isa.word_bits, groups))


def _least(dtype: str, zero: int) -> npt.NDArray[Any]:
    """Return the least value that counts as +1: zero, or what comes next after it."""
    nothing = np.zeros((), dtype)
    if zero == 1:
        return nothing
    return np.asarray(np.nextafter(nothing, np.ones((), dtype)) if nothing.dtype.kind == "f" else nothing + 1, dtype)


def pack_layers(module: tvm.IRModule, isa: Isa) -> tvm.IRModule:
    """Pack every binary operator for the word and vector width of ``isa``."""
    return _Pack(isa).run(module)
