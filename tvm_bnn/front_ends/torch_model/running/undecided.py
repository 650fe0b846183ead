"""Which samples of a PyTorch model rounding may decide: those whose answers a disturbance of rounding's size moves.

A sign next to zero, a steep activation, a normalization of what hardly varies: whatever makes a model delicate shows
once every value that depends on the inputs is moved by as much as another order of summation would move it. What such
disturbances do not move, no rounding explains.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from relay_passes.simplify.settle_sign_zero import SignZero
from tvm_bnn.front_ends.torch_model.running.sign_counter import SignCounter, depend_on_inputs

#: Of the largest magnitude in a tensor: four units in the last place of it, in float32.
DISTURBANCE = 2.0**-21
TRIALS = 8


class _Disturbed(SignCounter):
    """Runs a graph in which every result that depends on the inputs is off by a little."""

    def __init__(self, graph_module: GraphModule, sign_zero: SignZero, generator: torch.Generator) -> None:
        super().__init__(graph_module, sign_zero)
        self._live = depend_on_inputs(graph_module)
        self._generator = generator

    def run_node(self, n: Node) -> Any:
        result = super().run_node(n)
        disturbs = n.op == "call_function" and n in self._live and isinstance(result, torch.Tensor)
        return self._moved(result) if disturbs else result

    def _moved(self, x: torch.Tensor) -> torch.Tensor:
        # Signs, counts and products of signs are whole numbers, and zeros are made by construction: all of them exact.
        if not x.is_floating_point() or not x.numel() or bool((x == x.round()).all()):
            return x
        largest = x.abs().nan_to_num(0, 0, 0).max()
        noise = torch.rand(x.shape, generator=self._generator, dtype=x.dtype).mul_(2).sub_(1)
        return torch.where(x == 0, x, x + noise * (DISTURBANCE * largest))


def undecided(
    graph_module: GraphModule, sign_zero: SignZero, inputs: list[torch.Tensor], tolerance: float
) -> torch.Tensor:
    """Tell of each sample of a batch whether disturbances move an answer by more than ``tolerance``, ``(N,)``.

    Parameters
    ----------
    graph_module
        Of an exported program.
    sign_zero
        What the sign of an exact zero is.
    inputs
        Of one batch.
    tolerance
        Absolute.
    """
    generator = torch.Generator().manual_seed(0)
    plain = _answers(SignCounter(graph_module, sign_zero).run(*inputs))
    moved = torch.zeros(len(plain[0]), dtype=torch.bool)
    for _ in range(TRIALS):
        disturbed = _answers(_Disturbed(graph_module, sign_zero, generator).run(*inputs))
        for one, other in zip(disturbed, plain, strict=True):
            moved |= _apart(one, other) > tolerance
    return moved


def _answers(result: Any) -> list[torch.Tensor]:
    return [result] if isinstance(result, torch.Tensor) else list(result)


def _apart(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    distance = (a.double() - b.double()).abs().nan_to_num(nan=torch.inf)
    return torch.where(a == b, 0.0, distance).reshape(len(b), -1).amax(1)
