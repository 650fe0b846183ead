"""Move elementwise operators and pools before the concatenation of channels that they read.

Before: ``prelu(concat(conv(a), conv(b)))``. After: ``concat(prelu(conv(a)), prelu(conv(b)))``.

Each branch then ends in one kernel with its convolution, and packs its own bits. Only where the concatenation is the
one reader of its branches: a dense block, whose maps are concatenated again and again, would be cut into ever more
pieces.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np
import tvm
from tvm import relax

from relay_passes.analysis.evaluate import ELEMENTWISE
from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, bindings, constant, is_constant, is_tensor, op_name, readers

_POOLS = frozenset({"relax.nn.max_pool2d", "relax.nn.avg_pool2d"})
#: Packing looks at the sign's operand.
_SINKING = (ELEMENTWISE | _POOLS) - {"relax.sign"}
MOST_PARTS = 4


class _Sink(Rewriter):
    def begin(self, function: relax.Function) -> None:
        """Find the concatenations of channels that are the only readers of their parts."""
        counts = readers(function)
        tuples = {b.var: b.value for b in bindings(function) if isinstance(b.value, relax.Tuple)}
        self._found = {
            binding.var
            for binding in bindings(function)
            if op_name(binding.value) == "relax.concat" and _is_sinkable(binding.value, tuples, counts)
        }
        self._parts: dict[relax.Var, list[Expr]] = {}

    def copy(self, binding: relax.VarBinding) -> None:
        super().copy(binding)
        new = self.renamed[binding.var]
        if binding.var in self._found and isinstance(new, relax.Var):
            self._parts[new] = _fields(self.definition(self.definition(new).args[0]))

    def call(self, node: relax.Call) -> Expr:
        concats = [arg for arg in node.args if isinstance(arg, relax.Var) and arg in self._parts]
        if op_name(node) not in _SINKING or not concats:
            return node
        if op_name(node) in _POOLS and str(node.attrs.layout) != "NHWC":
            return node
        widths = [shape_of(part)[-1] for part in self._parts[concats[0]]]
        split = [self._split(arg, widths, shape_of(concats[0])) for arg in node.args]
        if any(pieces is None for pieces in split):
            return node
        parts = [
            self.emit(relax.Call(node.op, [pieces[index] for pieces in split if pieces], node.attrs, node.ty_args))
            for index in range(len(widths))
        ]
        joined = self.emit(relax.op.concat(parts, axis=-1))
        self._parts[joined] = list(parts)
        return joined

    def _split(self, arg: Expr, widths: Sequence[int], shape: tuple[int, ...]) -> list[Expr] | None:
        """Return an operand's share for each part, None if it has none."""
        if isinstance(arg, relax.Var) and arg in self._parts:
            parts = self._parts[arg]
            return parts if [shape_of(part)[-1] for part in parts] == list(widths) else None
        if not is_tensor(arg) or not shape_of(arg) or shape_of(arg)[-1] == 1:
            return [arg] * len(widths)
        if not is_constant(arg) or shape_of(arg)[-1] != shape[-1]:
            return None
        return [constant(piece) for piece in np.split(array_of(arg), np.cumsum(widths)[:-1], axis=-1)]


def _fields(value: Expr) -> list[Expr]:
    return list(value.fields)


def _is_sinkable(
    node: relax.Call, tuples: dict[relax.Var, relax.Tuple], counts: collections.Counter[relax.Var]
) -> bool:
    joined = tuples.get(node.args[0], node.args[0])
    if not isinstance(joined, relax.Tuple) or not 1 < len(joined.fields) <= MOST_PARTS:
        return False
    rank = len(shape_of(node))
    if int(node.attrs.axis) % rank != rank - 1:
        return False
    fields = list(joined.fields)
    return len(set(fields)) == len(fields) and all(
        isinstance(field, relax.Var) and counts[field] == 1 for field in fields
    )


def sink_concat(module: tvm.IRModule) -> tvm.IRModule:
    """Sink concatenations of a channels-last module."""
    return _Sink().run(module)
