"""Take what forward changes out of a program, or refuse it where the next answer would depend on it."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import Node

from schedules.errors import UserError
from tvm_bnn.front_ends.torch_model.importing.constant_subgraphs import constant_values
from tvm_bnn.front_ends.torch_model.running.sign_counter import operator

_STATE = frozenset({InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR})


def without_state(program: ExportedProgram) -> tuple[ExportedProgram, tuple[str, ...]]:
    """Drop the outputs of a decomposed program that are new values of its inputs, parameters and buffers, and None.

    Parameters
    ----------
    program
        Changed in place.

    Returns
    -------
    The program, and the names of the parameters and buffers that it would have changed.

    Raises
    ------
    UserError
        If an answer depends on a value that the answer before may have changed.
    """
    updates = _updates(program)
    _refuse_memory(program, {name: node for name, node in updates.items() if node is not None})
    signature, output = program.graph_signature, program.graph.output_node()
    kept = [
        (spec.kind is OutputKind.USER_OUTPUT and isinstance(value, Node)) or spec.kind is OutputKind.TOKEN
        for spec, value in zip(signature.output_specs, output.args[0], strict=True)
    ]
    if not all(kept):
        output.args = (tuple(arg for arg, keep in zip(output.args[0], kept, strict=True) if keep),)
        signature.output_specs[:] = [spec for spec, keep in zip(signature.output_specs, kept, strict=True) if keep]
        program.graph_module.recompile()
    return program, tuple(updates)


def _updates(program: ExportedProgram) -> dict[str, Any]:
    """Return the node of the new value of each parameter and buffer that is changed."""
    return {
        str(spec.target): value
        for spec, value in zip(program.graph_signature.output_specs, program.graph.output_node().args[0], strict=True)
        if spec.kind in {OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION}
    }


def _refuse_memory(program: ExportedProgram, updates: dict[str, Node]) -> None:
    if not updates:
        return
    specs = {spec.arg.name: spec for spec in program.graph_signature.input_specs if hasattr(spec.arg, "name")}
    state = {
        str(specs[node.name].target): node
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in specs and specs[node.name].kind in _STATE
    }
    answers = {
        value
        for spec, value in zip(program.graph_signature.output_specs, program.graph.output_node().args[0], strict=True)
        if spec.kind is OutputKind.USER_OUTPUT and isinstance(value, Node)
    }
    read = {name for name in updates if name in state and answers & _reached(state[name])}
    if not read:
        return
    before = constant_values(program)
    changing = sorted(name for name in read if updates[name] not in before)
    if not changing:
        after = constant_values(
            program, {state[name]: before[node] for name, node in updates.items() if node in before}
        )
        moved = {node for node, value in before.items() if not _is_same(value, after[node])} - set(state.values())
        needed = _needed(answers)
        changing = sorted(
            name
            for name in read
            if not _is_same(after[updates[name]], before[updates[name]]) or moved & needed & _reached(state[name])
        )
    if changing:
        names = ", ".join(f"'{name}'" for name in changing[:3])
        raise UserError(
            f"forward changes {names}, and its next answer with it; a compiled model has no state: pass it as an input "
            "and return it, or fix it before exporting"
        )


def _reached(node: Node) -> set[Node]:
    found, left = {node}, [node]
    while left:
        read = left.pop()
        for user in read.users:
            if user not in found and not _only_keeps_statistics(read, user):
                found.add(user)
                left.append(user)
    return found


def _only_keeps_statistics(read: Node, user: Node) -> bool:
    """Tell whether an operator is a batch norm by the batch's own statistics, which changes the running ones."""
    return operator(user) == "_native_batch_norm_legit_functional" and bool(user.args[5]) and read in user.args[3:5]


def _needed(answers: set[Node]) -> set[Node]:
    found, left = set(answers), list(answers)
    while left:
        for read in left.pop().all_input_nodes:
            if read not in found:
                found.add(read)
                left.append(read)
    return found


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and bool(torch.equal(one, other))
    return True
