"""Runs a PyTorch graph node by node, with an eye on the signs of activations."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node

from relay_passes.simplify.settle_sign_zero import ONE_OF_ZERO, SignZero


class SignCounter(Interpreter):
    """Runs a graph and counts the exact zeros that reach a sign of an activation.

    PyTorch's sign of zero is zero, unless the user settled for another; a bit has no zero.
    """

    def __init__(self, graph_module: GraphModule, sign_zero: SignZero = "exact") -> None:
        """Prepare to run an exported program's module."""
        super().__init__(graph_module)
        self._of_zero = ONE_OF_ZERO.get(sign_zero)
        self.zeros = 0
        self.signs = 0
        self._activation_signs = {node for node in depend_on_inputs(graph_module) if operator(node) in {"sign", "sgn"}}

    def run_node(self, n: Node) -> Any:
        """Run one node; look at the result if it is a sign."""
        result = super().run_node(n)
        if n in self._activation_signs:
            self.zeros += int((result == 0).sum())
            self.signs += int(result.numel())
            if self._of_zero is not None:
                result = torch.where(result == 0, torch.full_like(result, self._of_zero), result)
        return result


def depend_on_inputs(graph_module: GraphModule) -> set[Node]:
    """Return the nodes whose values depend on the model's inputs."""
    live: set[Node] = set()
    for node in graph_module.graph.nodes:
        if node.op == "placeholder" or any(read in live for read in node.all_input_nodes):
            live.add(node)
    return live


def operator(node: Node) -> str:
    """Return the name of the ATen operator that a node calls, without its overload; empty if it calls none."""
    target = node.target
    return target.overloadpacket.__name__ if isinstance(target, torch._ops.OpOverload) else ""
