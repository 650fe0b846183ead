"""Where an exported program leaves the way of the module that it was made from."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node

from tvm_bnn.front_ends.torch_model.eager.answers import agree, tensors_of
from tvm_bnn.front_ends.torch_model.eager.module import EagerModule

Inputs = Sequence[torch.Tensor]


class _Watched(Interpreter):
    """Runs a program and keeps what was computed in each module, by the module's path."""

    def __init__(self, graph_module: GraphModule) -> None:
        super().__init__(graph_module)
        self.values: dict[str, list[torch.Tensor]] = {}

    def run_node(self, n: Node) -> Any:
        result = super().run_node(n)
        for path, _ in (n.meta.get("nn_module_stack") or {}).values():
            if isinstance(result, torch.Tensor):
                self.values.setdefault(str(path), []).append(result.detach().clone())
        return result


def first_difference(eager: EagerModule, exported: GraphModule, inputs: Inputs) -> str:
    """Return words for the first module, in the order in which they end, whose answer the program never computes.

    The model's own forward if that is none of its parts.
    """
    watched = _Watched(exported)
    found: list[str] = []
    root = "the model's own forward"
    with contextlib.suppress(Exception), eager.lent() as module:
        root = _words("", module)
        watched.run(*(value.clone() for value in inputs))
        for path, submodule in module.named_modules():
            submodule.register_forward_hook(_comparing(path, watched.values, found))
        module(*(value.clone() for value in inputs))
    return found[0] if found else root


def _comparing(path: str, values: dict[str, list[torch.Tensor]], found: list[str]) -> Any:
    def compare(submodule: torch.nn.Module, given: Any, result: Any) -> None:
        del given
        answers = tensors_of(result)
        if path in values and answers and not any(agree([answers[0]], [value]) for value in values[path]):
            found.append(_words(path, submodule))

    return compare


def _words(path: str, module: torch.nn.Module) -> str:
    code = getattr(type(module).forward, "__code__", None)
    place = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
    return (f"module '{path}'" if path else "the model's own forward") + place
