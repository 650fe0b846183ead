"""Trace an exported program once more, after its inputs or its numbers' type were changed."""

from __future__ import annotations

import warnings

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx import Node


def user_inputs(program: ExportedProgram) -> list[Node]:
    """Return the placeholders that stand for the model's inputs, in order."""
    names = {
        spec.arg.name
        for spec in program.graph_signature.input_specs
        if spec.kind is InputKind.USER_INPUT and hasattr(spec.arg, "name")
    }
    return [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]


def retraced(program: ExportedProgram) -> ExportedProgram:
    """Return a program traced anew from what the placeholders' ``meta["val"]`` and the parameters now are.

    Decomposing by an empty table is what does it: every node is run again on fake tensors, and what is known of where
    it came from stays. Exporting ``program.module()`` again would lose the layers' names.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced: ExportedProgram = program.run_decompositions({})
        return traced


def replace_examples(program: ExportedProgram, examples: list[torch.Tensor]) -> None:
    """Put other tensors into the place of the inputs that the program was exported with, if they were kept."""
    stored = program.example_inputs
    if stored is not None:
        structure = torch.utils._pytree.tree_structure(stored)
        program.example_inputs = torch.utils._pytree.tree_unflatten(examples, structure)


def examples_of(program: ExportedProgram) -> list[torch.Tensor]:
    """Return the inputs that the program was exported with, in the order of ``user_inputs``; none if not kept."""
    return [] if program.example_inputs is None else torch.utils._pytree.tree_leaves(program.example_inputs)
