"""Operators that TVM 0.27's importer lacks or mistranslates, spelled with those that it has.

* A product with a vector (``mv``, ``dot``) becomes a matrix product, which is a layer.
* ``F.bilinear`` (``_trilinear``) becomes the outer product of its inputs times a matrix.
* ``max`` along an axis whose indices nobody reads becomes ``amax``, which is translated here, as ``amin`` is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Graph, Node
from tvm import relax

_ATEN = torch.ops.aten
#: How F.bilinear calls ``_trilinear``: the axes that each operand lacks, and those that are summed.
_BILINEAR = ([1, 3], [0], [1, 2], [2, 3])


def spell_operators(program: ExportedProgram) -> None:
    """Rewrite a decomposed program in place."""
    graph = program.graph
    for node in list(graph.nodes):
        rule = _RULES.get(node.target) if node.op == "call_function" else None
        if rule is not None:
            with graph.inserting_before(node):
                made = rule(graph, node)
            if made is not None:
                node.replace_all_uses_with(made)
                graph.erase_node(node)


def call(graph: Graph, like: Node, target: Any, *args: Any) -> Node:
    """Insert a call that was traced where ``like`` was, with the value that it gives on fake tensors."""
    made = graph.call_function(target, args)
    value = target(*torch.fx.node.map_arg(args, lambda node: node.meta["val"]))
    made.meta = {**like.meta, "val": value}
    return made


def _operands(node: Node) -> list[Any]:
    return list(node.args)


def _matrix_vector(graph: Graph, node: Node) -> Node:
    matrix, vector = _operands(node)
    column = call(graph, node, _ATEN.unsqueeze.default, vector, 1)
    return call(graph, node, _ATEN.squeeze.dims, call(graph, node, _ATEN.mm.default, matrix, column), [1])


def _dot(graph: Graph, node: Node) -> Node:
    row = call(graph, node, _ATEN.unsqueeze.default, _operands(node)[0], 0)
    column = call(graph, node, _ATEN.unsqueeze.default, _operands(node)[1], 1)
    return call(graph, node, _ATEN.squeeze.dims, call(graph, node, _ATEN.mm.default, row, column), [0, 1])


def _trilinear(graph: Graph, node: Node) -> Node | None:
    """Return ``x A y`` for each matrix ``A`` as the outer product of ``x`` and ``y``, laid flat, times all of them."""
    left, weight, right, *axes = _operands(node)
    if tuple(map(list, axes[:4])) != _BILINEAR:
        return None
    count, ins, others = left.meta["val"].shape[0], left.meta["val"].shape[1], right.meta["val"].shape[1]
    columns = call(graph, node, _ATEN.unsqueeze.default, left, 2)
    rows = call(graph, node, _ATEN.unsqueeze.default, right, 1)
    outer = call(graph, node, _ATEN.mul.Tensor, columns, rows)
    flat = call(graph, node, _ATEN.view.default, outer, [count, ins * others])
    matrices = call(graph, node, _ATEN.view.default, weight, [weight.meta["val"].shape[0], ins * others])
    return call(graph, node, _ATEN.mm.default, flat, call(graph, node, _ATEN.permute.default, matrices, [1, 0]))


def _extreme(graph: Graph, node: Node) -> Node | None:
    if any(user.target is not operator.getitem or user.args[1] != 0 for user in node.users):
        return None
    x, axis, *keep = _operands(node)
    made = call(graph, node, _ATEN.amax.default, x, [axis], *keep)
    for user in list(node.users):
        user.replace_all_uses_with(made)
        graph.erase_node(user)
    return made


_RULES: dict[Any, Callable[[Graph, Node], Node | None]] = {
    _ATEN.mv.default: _matrix_vector,
    _ATEN.dot.default: _dot,
    _ATEN.vdot.default: _dot,
    _ATEN._trilinear.default: _trilinear,
    _ATEN.max.dim: _extreme,
}


def _reduction(reduce: Callable[..., relax.Call]) -> Callable[[Node, Any], relax.Var]:
    def translate(node: Node, importer: Any) -> relax.Var:
        given = dict(zip(("self", "dim", "keepdim"), _operands(node), strict=False)) | dict(node.kwargs)
        axes, keep = list(given.get("dim", ())), bool(given.get("keepdim", False))
        return importer.block_builder.emit(reduce(importer.env[given["self"]], axes or None, keep))

    return translate


#: For TVM's importer, by overload.
TRANSLATIONS: dict[str, Callable[[Node, Any], relax.Var]] = {
    "amax.default": _reduction(relax.op.max),
    "amin.default": _reduction(relax.op.min),
}
