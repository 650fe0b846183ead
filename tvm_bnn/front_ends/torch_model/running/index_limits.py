"""How far the integers of a model's inputs may go, where they are rows of a table."""

from __future__ import annotations

from torch.fx import GraphModule, Node

from tvm_bnn.front_ends.torch_model.running.sign_counter import operator

#: Operators that hand on the same integers, in another type, shape or place.
_MOVES = frozenset({"to", "_to_copy", "view", "reshape", "flatten", "clone", "contiguous", "unsqueeze", "squeeze"})


def index_limits(graph_module: GraphModule) -> list[int | None]:
    """Return, for each input, how many rows the smallest table has that it indexes; None where it indexes none."""
    placeholders = [node for node in graph_module.graph.nodes if node.op == "placeholder"]
    return [min(_tables_of(node), default=None) for node in placeholders]


def _tables_of(node: Node) -> list[int]:
    found = []
    for user in node.users:
        table = user.args[0] if user.args else None
        if operator(user) == "embedding" and isinstance(table, Node) and user.args[1] is node:
            found.append(len(table.meta["val"]))
        elif operator(user) in _MOVES:
            found.extend(_tables_of(user))
    return found
