"""Evaluate, in PyTorch itself, whatever part of an exported program depends on parameters alone.

Weight standardization, ``alpha * sign(w)``, the straight-through idiom on weights …: after this a weight operand is a
tensor whose values can be looked at, and operators that only ever touched weights are gone before TVM must import them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, TensorArgument
from torch.fx import Node

from schedules.defects import locate

_CONSTANT_KINDS = frozenset({InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR})

#: Under what a folded node's ``meta`` names the parameters and buffers that it was made of.
_MADE_OF = "tvm_bnn_made_of"
#: Tensors that were written into the code have such names, of no use to a reader.
_NAMELESS = "lifted_tensor"
#: What these hold is written before it is read, and must not make two compilations of a model differ.
_UNINITIALIZED = ("aten.empty", "aten.new_empty")


def fold_constant_subgraphs(program: ExportedProgram) -> ExportedProgram:
    """Replace every constant subgraph by its value, in place, and return the program.

    Parameters
    ----------
    program
        Decomposed to core ATen operators; the parameters it holds are not changed.
    """
    values = constant_values(program)
    made_of = _made_of(program, values)
    graph = program.graph_module.graph
    frontier = [node for node in values if node.op == "call_function" and isinstance(values[node], torch.Tensor)]
    for node in frontier:
        if any(user not in values for user in node.users):
            _replace(program, node, values[node], made_of[node])
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    return program


def _evaluated(node: Node, args: Any, kwargs: Any) -> Any:
    try:
        return node.target(*args, **kwargs)  # type: ignore[operator]
    except Exception as error:
        locate(error, f"at node '{node.name}' ({node.target})")
        raise


def _made_of(program: ExportedProgram, values: Mapping[Node, Any]) -> dict[Node, tuple[str, ...]]:
    """Return the names of the parameters and buffers that each constant was made of, in the order of reading."""
    made_of: dict[Node, tuple[str, ...]] = {}
    for node in values:
        read = [name for below in node.all_input_nodes for name in made_of[below]]
        made_of[node] = tuple(dict.fromkeys(read)) if node.op == "call_function" else parameters_behind(program, node)
    return made_of


def parameters_behind(program: ExportedProgram, node: object) -> tuple[str, ...]:
    """Return the parameters and buffers that a constant of the program is, or was made of; none for other nodes."""
    if not isinstance(node, Node) or node.op != "placeholder":
        return ()
    if _MADE_OF in node.meta:
        names: tuple[str, ...] = node.meta[_MADE_OF]
        return names
    for spec in program.graph_signature.input_specs:
        if getattr(spec.arg, "name", None) == node.name and spec.kind in _CONSTANT_KINDS and spec.target is not None:
            return () if spec.target.startswith(_NAMELESS) else (spec.target,)
    return ()


def constant_values(program: ExportedProgram, instead: Mapping[Node, Any] | None = None) -> dict[Node, Any]:
    """Return the value of every node that depends on parameters, buffers and constants alone.

    ``instead`` are other values for some of these.
    """
    values: dict[Node, Any] = {**_placeholder_values(program), **(instead or {})}
    with torch.no_grad():
        for node in program.graph_module.graph.nodes:
            if node.op == "call_function" and _is_constant(node, values):
                args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda read: values[read])
                value = _evaluated(node, args, kwargs)
                values[node] = torch.zeros_like(value) if str(node.target).startswith(_UNINITIALIZED) else value
    return values


def _placeholder_values(program: ExportedProgram) -> dict[Node, Any]:
    """Return the values of the placeholders that stand for parameters, buffers and lifted constants."""
    specs = {spec.arg.name: spec for spec in program.graph_signature.input_specs if hasattr(spec.arg, "name")}
    values: dict[Node, Any] = {}
    for node in program.graph.nodes:
        spec = specs.get(node.name)
        if node.op == "placeholder" and spec is not None and spec.kind in _CONSTANT_KINDS and spec.target is not None:
            stored = program.state_dict if spec.target in program.state_dict else program.constants
            values[node] = stored[spec.target]
    return values


def _is_constant(node: Node, values: dict[Node, Any]) -> bool:
    """Tell whether a call reads constants only, gives the same each time, and changes nothing."""
    if isinstance(node.target, torch._ops.OpOverload):
        if torch.Tag.nondeterministic_seeded in node.target.tags or node.target._schema.is_mutable:
            return False
    elif getattr(node.target, "__module__", "") != "_operator":
        return False
    return all(read in values for read in node.all_input_nodes)


def _replace(program: ExportedProgram, node: Node, value: torch.Tensor, made_of: tuple[str, ...]) -> None:
    """Let a new lifted constant take a node's place."""
    graph = program.graph_module.graph
    first = next(iter(graph.nodes))
    with graph.inserting_before(first):
        constant = graph.placeholder(f"folded_{node.name}")
    constant.meta = {**node.meta, _MADE_OF: made_of}
    name = f"folded.{constant.name}"
    program.constants[name] = value.detach().clone()
    argument = TensorArgument(name=constant.name)
    program.graph_signature.input_specs.insert(0, InputSpec(InputKind.CONSTANT_TENSOR, argument, name))
    node.replace_all_uses_with(constant)
