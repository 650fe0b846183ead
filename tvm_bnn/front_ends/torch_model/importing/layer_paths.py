"""What the layers of an exported program are called: by the module, and by the parameter that they multiply with.

A module that computes one layer gives it its own path, ``blocks.0.conv``. Where a module computes several, or the
model's own ``forward`` does, each is called after its weight: ``fc1`` for ``F.linear(x, self.fc1.weight.sign())``,
``attention.q`` for ``x @ self.q.sign()`` in the module ``attention``.
"""

from __future__ import annotations

import re
from collections import defaultdict

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from tvm_bnn.front_ends.torch_model.importing.constant_subgraphs import parameters_behind

_LAYER_OPERATORS = re.compile(r"^(convolution|conv\d|linear|addmm|mm|bmm|matmul|baddbmm)")
#: The last part of a weight's name that says nothing: ``fc.weight``, or what parametrizations make of it.
_PLAIN = re.compile(r"\.(weight(_orig|_v|_g)?|parametrizations\.weight\.original\d*)$")
#: Operators whose first operand is added.
_ADDING = ("addmm", "baddbmm")


def layer_paths(program: ExportedProgram) -> list[str]:
    """Return the name of every convolution and matrix product, in order; several may have one."""
    layers = [
        node
        for node in program.graph.nodes
        if node.op == "call_function" and _LAYER_OPERATORS.match(getattr(node.target, "__name__", ""))
    ]
    parameters = {node: _parameter(program, node) for node in layers}
    of_module: dict[str, set[str]] = defaultdict(set)
    for node in layers:
        of_module[module_path(node)].add(parameters[node])
    return [_name(module_path(node), parameters[node], of_module) or node.name for node in layers]


def module_path(node: Node) -> str:
    """Return the path of the innermost module that a node was traced in."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""


def _name(module: str, parameter: str, of_module: dict[str, set[str]]) -> str:
    is_only = bool(module) and len(of_module[module]) == 1
    return module if is_only or not parameter else _PLAIN.sub("", parameter)


def _parameter(program: ExportedProgram, layer: Node) -> str:
    """Return the largest parameter that a layer's constant operand is made of; empty if it has none."""
    first = 1 if getattr(layer.target, "__name__", "").startswith(_ADDING) else 0
    found: list[tuple[int, str]] = []
    for operand in layer.args[first : first + 2]:
        for name in parameters_behind(program, operand):
            stored = program.state_dict.get(name, program.constants.get(name))
            if isinstance(stored, torch.Tensor):
                found.append((stored.numel(), name))
    return max(found, key=lambda each: each[0], default=(0, ""))[1]
