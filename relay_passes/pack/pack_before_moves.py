"""Pack values before they are moved, not after: words are moved then, and a layer packs what it computes itself.

Before: ``pack(permute_dims(reshape(x)))``, as attention splits its heads.
After:  ``permute_dims(reshape(pack(x)))``, with the axes of words.

Signs that are spelled by elementwise operators between the moves are computed before them, on ``x``. Moves that tear
words apart stay where they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.analysis.evaluate import ELEMENTWISE, evaluate
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, is_tensor, op_name
from schedules.kernels.binary.bits import words_for

_PACK = "relax.bnn.pack"
_MOVES = frozenset(f"relax.{name}" for name in ("reshape", "permute_dims", "expand_dims", "squeeze", "broadcast_to"))
#: Extent of an axis after the moves, and how far apart its neighbours were before them.
_Axis = tuple[int, int]


class _PackBeforeMoves(Rewriter):
    def call(self, node: relax.Call) -> Expr:
        if op_name(node) != _PACK or node.attrs["classes"] or int(node.attrs["groups"]) != 1:
            return node
        (x, tau, flip), word_bits = node.args, int(node.attrs["word_bits"])
        differs = (array_of(tau) != array_of(tau)[:1]).any() or array_of(flip).any()
        source, steps = self._below(x)
        if differs or not steps:
            return node
        before, after = dialect.shape_of(source)[-1], dialect.shape_of(x)
        unit = word_bits if before % word_bits == 0 and after[-1] % word_bits == 0 else before
        if unit != word_bits and before != after[-1]:
            return node
        axes = _axes_of(self._places(source, steps), unit, after[-1])
        if axes is None:
            return node
        for step, leaf in reversed(steps):
            source = source if self._is_move(step) else self._replayed(step, leaf, source)
        words = self._packed(source, array_of(tau)[0], word_bits)
        return self._moved(words, axes, words_for(unit, word_bits), (*after[:-1], words_for(after[-1], word_bits)))

    def _below(self, value: Expr) -> tuple[Expr, list[tuple[Expr, Expr]]]:
        """Return what is moved, and the steps from it to the value, last first: each with what it reads.

        The first step is a move, so that nothing else is computed again.
        """
        steps: list[tuple[Expr, Expr]] = []
        while (leaf := self._read(value)) is not None:
            steps.append((value, leaf))
            value = leaf
        while steps and not self._is_move(steps[-1][0]):
            value, _ = steps.pop()
        return value, steps

    def _is_move(self, value: Expr) -> bool:
        made = self.definition(value)
        return op_name(made) in _MOVES and _size(made.args[0]) == _size(value)

    def _read(self, value: Expr) -> Expr | None:
        """Return what a move, or a tree of elementwise operators on one tensor and numbers, is made of."""
        if self._is_move(value):
            operand = self.definition(value).args[0]
            return None if is_constant(operand) else operand
        leaves = self._leaves(value)
        return leaves[0] if leaves and all(leaf.same_as(leaves[0]) for leaf in leaves) else None

    def _leaves(self, value: Expr) -> list[Expr] | None:
        """Return the tensors that a tree of elementwise operators reads; None if it is none, or reads others too."""
        made = self.definition(value)
        if op_name(made) not in ELEMENTWISE:
            return None
        found: list[Expr] = []
        for arg in made.args:
            if not is_tensor(arg) or (is_constant(arg) and not dialect.shape_of(arg)):
                continue
            if is_constant(arg) or dialect.shape_of(arg) != dialect.shape_of(value):
                return None
            below = self._leaves(arg)
            found += [arg] if below is None else below
        return found

    def _places(self, source: Expr, steps: Sequence[tuple[Expr, Expr]]) -> npt.NDArray[np.int64]:
        """Return where each element of the moved tensor was before."""
        shape = dialect.shape_of(source)
        places = np.arange(math.prod(shape)).reshape(shape)
        for step, _ in reversed(steps):
            if self._is_move(step):
                made = self.definition(step)
                is_turn = op_name(made) == "relax.permute_dims"
                places = evaluate(made, [places]) if is_turn else places.reshape(dialect.shape_of(step))
        return places

    def _replayed(self, value: Expr, leaf: Expr, new: Expr) -> Expr:
        """Return a tree of elementwise operators on another tensor."""
        if value.same_as(leaf):
            return new
        made = self.definition(value)
        if not isinstance(made, relax.Call) or is_constant(value):
            return value
        args = [self._replayed(arg, leaf, new) for arg in made.args]
        return self.emit(relax.Call(made.op, args, made.attrs, made.ty_args, made.span))

    def _packed(self, value: Expr, least: np.generic, word_bits: int) -> Expr:
        channels = dialect.shape_of(value)[-1]
        flip = np.zeros(words_for(channels, word_bits), f"uint{word_bits}")
        return self.emit(dialect.pack(value, constant(np.full(channels, least)), constant(flip), word_bits))

    def _moved(self, words: Expr, axes: Sequence[_Axis], unit: int, shape: tuple[int, ...]) -> Expr:
        """Return words in the order of axes, each a number of words."""
        inwards = sorted(range(len(axes)), key=lambda axis: -axes[axis][1])
        if inwards != list(range(len(axes))):
            words = self.emit(relax.op.reshape(words, (*(axes[axis][0] for axis in inwards), unit)))
            words = self.emit(relax.op.permute_dims(words, [*map(inwards.index, range(len(axes))), len(axes)]))
        return relax.op.reshape(words, shape)


def _size(value: Expr) -> int:
    return math.prod(dialect.shape_of(value))


def _axes_of(places: npt.NDArray[np.int64], unit: int, channels: int) -> list[_Axis] | None:
    """Return the axes along which units of so many channels were moved; None if units were torn apart."""
    if channels % unit:
        return None
    units = places.reshape(-1, unit)
    if (units[:, 0] % unit).any() or (units != units[:, :1] + np.arange(unit)).any():
        return None
    moved = (units[:, 0] // unit).reshape((*places.shape[:-1], channels // unit))
    axes = [part for axis in range(moved.ndim) for part in _parts(_along(moved, axis))]
    total = np.zeros((), np.int64)
    for extent, stride in axes:
        total = total[..., None] + np.arange(extent) * stride
    inwards = sorted(axes, key=lambda axis: -axis[1])
    strides = [math.prod(extent for extent, _ in inwards[place + 1 :]) for place in range(len(inwards))]
    if [stride for _, stride in inwards] != strides or (total.reshape(-1) != moved.reshape(-1)).any():
        return None
    return axes


def _along(moved: npt.NDArray[np.int64], axis: int) -> npt.NDArray[np.int64]:
    """Return where the elements of an axis were, relative to its first."""
    line = np.moveaxis(moved, axis, -1).reshape(-1, moved.shape[axis])[0]
    offsets: npt.NDArray[np.int64] = line - line[0]
    return offsets


def _parts(line: npt.NDArray[np.int64]) -> list[_Axis]:
    """Return an axis as several, outermost first, each of even stride; none if it has one element."""
    if len(line) == 1:
        return []
    stride = int(line[1])
    even = int((line == np.arange(len(line)) * stride).argmin()) or len(line)
    if len(line) % even:
        return [(len(line), stride)]
    return [*_parts(line[::even]), (even, stride)]


def pack_before_moves(module: tvm.IRModule) -> tvm.IRModule:
    """Exchange packing and the moves before it wherever whole words are moved."""
    return _PackBeforeMoves().run(module)
