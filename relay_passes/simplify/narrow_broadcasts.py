"""Leave it to elementwise operators to repeat what they read.

Before: ``multiply(broadcast_to(b, (8, 100)), s)`` with ``b`` of ``(8, 1)``, as ``expand``, ``expand_as``, ``repeat``
        and ``repeat_interleave`` arrive.
After:  ``multiply(b, s)``.

Before: ``sqrt(broadcast_to(b, (8, 100)))``. After: ``broadcast_to(sqrt(b), (8, 100))``.

A scale then shows along which axes it is one number, and nothing is stored that is the same everywhere.
"""

from __future__ import annotations

import tvm
from tvm import relax

from relay_passes.analysis.evaluate import ELEMENTWISE
from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, Rewriter, is_tensor, op_name


class _Narrow(Rewriter):
    def call(self, node: relax.Call) -> Expr:
        if op_name(node) not in ELEMENTWISE:
            return node
        shape = shape_of(self.builder.normalize(node))
        args = list(node.args)
        narrowed = [self._narrow(arg) if is_tensor(arg) else arg for arg in args]
        sizes = _joint([shape_of(arg) for arg in narrowed if is_tensor(arg)])
        if sizes != shape and any(not arg.same_as(old) for arg, old in zip(narrowed, args, strict=True)):
            few = self.emit(relax.Call(node.op, narrowed, node.attrs, node.ty_args, node.span))
            return relax.op.broadcast_to(few, shape)
        for place, arg in enumerate(args):
            narrow = self._narrow(arg)
            others = [shape_of(other) for k, other in enumerate(args) if k != place and is_tensor(other)]
            if not narrow.same_as(arg) and _joint([shape_of(narrow), *others]) == shape:
                args[place] = narrow
        return relax.Call(node.op, args, node.attrs, node.ty_args, node.span)

    def _narrow(self, value: Expr) -> Expr:
        """Return what a value repeats, by numpy's rules of broadcasting; the value itself if it does not."""
        made = self.definition(value)
        name = op_name(made)
        if name == "relax.broadcast_to":
            return self._narrow(made.args[0])
        if name == "relax.tile" and _repeats_single_numbers(made):
            return self._narrow(made.args[0])
        if name == "relax.reshape":
            return self._interleaved(value, made)
        return value

    def _interleaved(self, value: Expr, made: relax.Call) -> Expr:
        """Return what ``repeat_interleave`` repeats: a new axis grows, and an axis of size 1 beside it goes."""
        repeated = self.definition(made.args[0])
        if op_name(repeated) != "relax.broadcast_to":
            return value
        source, wide, shape = repeated.args[0], shape_of(made.args[0]), shape_of(value)
        for axis in range(len(wide)):
            if wide[axis] == 1 and wide[:axis] + wide[axis + 1 :] == shape and len(shape_of(source)) == len(wide):
                sizes = shape_of(source)
                return self.emit(relax.op.reshape(source, sizes[:axis] + sizes[axis + 1 :]))
        return value


def _repeats_single_numbers(tile: relax.Call) -> bool:
    """Tell whether a tile repeats along axes of size 1 only."""
    repeats = [int(count) for count in tile.attrs.repeats]
    shape = shape_of(tile.args[0])
    padded = (1,) * (len(repeats) - len(shape)) + shape
    return all(count == 1 or extent == 1 for count, extent in zip(repeats, padded[-len(repeats) :], strict=True))


def _joint(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape that others broadcast to."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(max(extents) for extents in zip(*padded, strict=True))


def narrow_broadcasts(module: tvm.IRModule) -> tvm.IRModule:
    """Drop the broadcasts that elementwise operators do by themselves."""
    return _Narrow().run(module)
