"""Rewrite an exported program into what TVM 0.27's importer understands: what it lacks is made up for here.

* Run-time checks (``_assert_…``, checked linear algebra) and the tokens that order them go: they compute nothing.
* Assignment under a mask (``x[mask] = 1``) becomes a ``where``.
* ``copysign`` becomes a ``where``, which takes the sign of -0 for that of 0.
* The factor of ``add(x, y, alpha=2)``, which the importer passes over, becomes a product.
* Type promotion becomes explicit. The importer gives ``bool * 2`` the type bool; PyTorch says int64.
"""

from __future__ import annotations

import operator

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import Node

from tvm_bnn.front_ends.torch_model.importing.operators import spell_operators

_CHECKS = ("aten._assert", "aten._linalg_check_errors", "aten.sym_constrain_range", "aten._functional_assert")
_ARITHMETIC = frozenset(
    {"add", "sub", "rsub", "mul", "div", "maximum", "minimum", "pow", "remainder", "fmod", "where", "lerp", "addcmul"}
)
#: Arguments of an index_put that overwrites: tensor, indices, values.
_WITHOUT_ACCUMULATION = 3
_COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})


def make_importable(program: ExportedProgram) -> ExportedProgram:
    """Rewrite a decomposed program in place and return it."""
    _drop_checks(program)
    spell_operators(program)
    _select_under_masks(program)
    _select_by_sign(program)
    _spell_factors_out(program)
    _promote_operands(program)
    program.graph_module.recompile()
    return program


def _drop_checks(program: ExportedProgram) -> None:
    graph = program.graph_module.graph
    for node in reversed(list(graph.nodes)):
        if node.op == "call_function" and str(node.target).startswith(_CHECKS) and not node.users:
            graph.erase_node(node)
    for node in list(graph.nodes):
        if node.op == "call_function" and str(node.target) == "with_effects" and str(node.args[1]).startswith(_CHECKS):
            _bypass(graph, node)
    _drop_tokens(program)


def _bypass(graph: torch.fx.Graph, node: Node) -> None:
    """Hand the token that a check takes on to whoever takes the one that it returns."""
    token = node.args[0]
    assert isinstance(token, Node), "with_effects takes a token first"
    for user in list(node.users):
        if user.target is operator.getitem and user.args[1] == 0:
            user.replace_all_uses_with(token)
            graph.erase_node(user)
    graph.erase_node(node)


def _drop_tokens(program: ExportedProgram) -> None:
    """Remove tokens that are only passed through."""
    graph, signature = program.graph_module.graph, program.graph_signature
    tokens = {spec.arg.name for spec in signature.input_specs if spec.kind is InputKind.TOKEN}
    if not tokens:
        return
    output = graph.output_node()
    kept = [spec.kind is not OutputKind.TOKEN for spec in signature.output_specs]
    output.args = (tuple(arg for arg, keep in zip(output.args[0], kept, strict=True) if keep),)
    signature.output_specs[:] = [spec for spec, keep in zip(signature.output_specs, kept, strict=True) if keep]
    for node in list(graph.nodes):
        if node.op == "placeholder" and node.name in tokens and not node.users:
            graph.erase_node(node)
    signature.input_specs[:] = [spec for spec in signature.input_specs if spec.kind is not InputKind.TOKEN]


def _select_under_masks(program: ExportedProgram) -> None:
    """Turn ``index_put(x, [mask], one value)`` into ``where(mask, value, x)``."""
    graph = program.graph
    for node in list(graph.nodes):
        if node.op != "call_function" or not str(node.target).startswith("aten.index_put"):
            continue
        x, indices, value = node.args[:3]
        mask = indices[0]
        one_mask = len(indices) == 1 and mask.meta["val"].dtype == torch.bool
        if not one_mask or value.meta["val"].numel() != 1 or len(node.args) > _WITHOUT_ACCUMULATION:
            continue
        with graph.inserting_before(node):
            for _ in range(x.meta["val"].dim() - mask.meta["val"].dim()):
                widened = graph.call_function(torch.ops.aten.unsqueeze.default, (mask, -1))
                widened.meta = {**mask.meta, "val": mask.meta["val"].unsqueeze(-1)}
                mask = widened
            selected = graph.call_function(torch.ops.aten.where.self, (mask, value, x))
        selected.meta = dict(node.meta)
        node.replace_all_uses_with(selected)
        graph.erase_node(node)


def _select_by_sign(program: ExportedProgram) -> None:
    """Turn ``copysign(x, y)`` into ``where(y >= 0, |x|, -|x|)``."""
    graph, aten = program.graph, torch.ops.aten
    for node in list(graph.nodes):
        if node.op != "call_function" or node.target != aten.copysign.Tensor:
            continue
        x, y = (arg.meta["val"] for arg in node.args)
        with graph.inserting_before(node):
            magnitude = graph.call_function(aten.abs.default, (node.args[0],))
            negative = graph.call_function(aten.neg.default, (magnitude,))
            is_positive = graph.call_function(aten.ge.Scalar, (node.args[1], 0))
            selected = graph.call_function(aten.where.self, (is_positive, magnitude, negative))
        for made, value in ((magnitude, x), (negative, x), (is_positive, y >= 0)):
            made.meta = {**node.meta, "val": value}
        selected.meta = dict(node.meta)
        node.replace_all_uses_with(selected)
        graph.erase_node(node)


def _spell_factors_out(program: ExportedProgram) -> None:
    """Turn ``add(x, y, alpha)`` into ``add(x, mul(y, alpha))``, and so for ``sub``."""
    graph, aten = program.graph, torch.ops.aten
    for node in list(graph.nodes):
        factor = node.kwargs.get("alpha", 1) if node.target in {aten.add.Tensor, aten.sub.Tensor} else 1
        if factor == 1:
            continue
        x, y = node.args
        if isinstance(y, Node):
            with graph.inserting_before(node):
                scaled = graph.call_function(aten.mul.Tensor, (y, factor))
            scaled.meta = {**y.meta, "val": y.meta["val"] * factor}
            node.args, node.kwargs = (x, scaled), {}
        else:
            node.args, node.kwargs = (x, y * factor), {}


def _promote_operands(program: ExportedProgram) -> None:
    for node in list(program.graph.nodes):
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            continue
        name = node.target._schema.name.removeprefix("aten::")
        if name in _ARITHMETIC:
            operands = node.args[1:] if name == "where" else node.args
            _cast(program, node, operands, node.meta["val"].dtype)
        elif name in _COMPARISONS:
            values = [arg.meta["val"] if isinstance(arg, Node) else arg for arg in node.args]
            _cast(program, node, node.args, torch.result_type(*values))


def _cast(program: ExportedProgram, node: Node, operands: tuple[object, ...], dtype: torch.dtype) -> None:
    """Convert the tensors among a node's operands that have another type."""
    for operand in operands:
        value = operand.meta.get("val") if isinstance(operand, Node) else None
        if isinstance(operand, Node) and isinstance(value, torch.Tensor) and value.dtype != dtype:
            with program.graph.inserting_before(node):
                cast = program.graph.call_function(torch.ops.aten._to_copy.default, (operand,), {"dtype": dtype})
            cast.meta = {**operand.meta, "val": value.to(dtype)}
            node.replace_input_with(operand, cast)
