"""Whether another rounding of a PyTorch model explains what a compiled one answers.

A sign whose argument is next to zero is decided by rounding, and so is a comparison of values next to each other, or
the integer next to a half. Where binary layers leave few different values, the same near tie comes back in sample after
sample, and PyTorch's float64 may happen to decide it as its float32 does. So near ties are decided the other way, one
at a time, the nearest first, and what brings the answers closer stays. That excuses no wrong kernel: nothing but near
ties may differ, and all answers have to agree in the end.

Where no single decision helps, several are changed together, so that all combinations of few near ties are tried.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch.fx import GraphModule, Node

from relay_passes.simplify.settle_sign_zero import SignZero
from tvm_bnn.front_ends.torch_model.running.sign_counter import SignCounter, depend_on_inputs, operator

#: Of the largest magnitude in a tensor: two units in the last place of it, in float32.
NEAR = 2.0**-22
MOST_TRIALS = 256
_HALF = 0.5

Tensors: TypeAlias = Sequence[torch.Tensor]


class _Tie(NamedTuple):
    """A decision next to a tie, by its place in the flattened result of a node."""

    distance: float
    node: Node
    place: int


class _Decider(SignCounter):
    """Runs a graph with some decisions taken the other way, and notes which ones are next to a tie."""

    def __init__(
        self,
        graph_module: GraphModule,
        sign_zero: SignZero,
        otherwise: Mapping[Node, frozenset[int]],
        ties: Mapping[Node, Sequence[_Tie]],
    ) -> None:
        super().__init__(graph_module, sign_zero)
        self.garbage_collect_values = False
        self._live = depend_on_inputs(graph_module)
        self._otherwise = otherwise
        self.ties = dict(ties)

    def run_node(self, n: Node) -> Any:
        result = super().run_node(n)
        decision = _DECISIONS.get(operator(n)) if n in self._live else None
        if decision is None:
            return result
        args, _ = self.fetch_args_kwargs_from_env(n)
        if not all(arg.is_floating_point() for arg in args if isinstance(arg, torch.Tensor)):
            return result
        distance, other = (tensor.broadcast_to(result.shape).flatten() for tensor in decision(result, *args))
        # Most exact ties, like the signs of padding, are ties by construction: no rounding decides them.
        (near,) = torch.nonzero((distance > 0) & (distance <= NEAR), as_tuple=True)
        self.ties[n] = [_Tie(float(distance[place]), n, int(place)) for place in near]
        places = self._otherwise.get(n)
        if not places:
            return result
        changed = result.flatten().clone()
        changed[list(places)] = other[list(places)]
        return changed.reshape(result.shape)


def _of_sign(result: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return _share(x.abs(), x), torch.where(result > 0, -torch.ones_like(result), torch.ones_like(result))


def _of_comparison(result: torch.Tensor, a: torch.Tensor, b: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return _share((a - b).abs(), a, torch.as_tensor(b)), ~result


def _of_rounding(result: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    past = x - result
    return _share((past.abs() - _HALF).abs(), x), result + torch.where(past > 0, 1.0, -1.0)


def _share(distance: torch.Tensor, *operands: torch.Tensor) -> torch.Tensor:
    """Return a distance in units of the largest magnitude among the operands."""
    largest = max(float(operand.abs().max()) for operand in operands)
    return distance / max(largest, torch.finfo(distance.dtype).tiny)


#: Of each operator that decides: how far from a tie, and what the other decision would be.
_DECISIONS: dict[str, Callable[..., tuple[torch.Tensor, torch.Tensor]]] = {
    **dict.fromkeys(("sign", "sgn"), _of_sign),
    **dict.fromkeys(("gt", "ge", "lt", "le"), _of_comparison),
    "round": _of_rounding,
}


@dataclasses.dataclass(frozen=True)
class _Run:
    """One way to decide: which decisions fall otherwise, and what comes of it."""

    otherwise: Mapping[Node, frozenset[int]]
    values: Mapping[Node, Any]
    ties: Mapping[Node, Sequence[_Tie]]
    answers: Tensors


class _Search:
    """Looks for the decisions that lead to the given outputs, and counts what it tries."""

    def __init__(self, graph_module: GraphModule, sign_zero: SignZero, inputs: Tensors, outputs: Tensors) -> None:
        self._graph_module = graph_module
        self._sign_zero = sign_zero
        self._inputs = inputs
        self._outputs = outputs
        self._left = MOST_TRIALS
        self.best = self._run({}, {}, {})

    def is_explained(self, tolerance: float) -> bool:
        """Tell whether decisions are found, that bring the answers within ``tolerance`` of the outputs."""
        together = 1
        while self._largest_difference > tolerance:
            if not self._left or together > len(self._ties):
                return False
            together = 1 if self._improve(together) else together + 1
        return True

    def _improve(self, together: int) -> bool:
        """Change so many decisions at a time, and keep what brings the answers closer; tell whether anything does."""
        before = self.best
        for changed in itertools.islice(itertools.combinations(self._ties, together), self._left):
            self._left -= 1
            trial = self._with_other(changed)
            if self._total(trial) < self._total(self.best):
                self.best = trial
        return self.best is not before

    @property
    def _ties(self) -> list[_Tie]:
        """The nearest first."""
        return sorted((tie for ties in self.best.ties.values() for tie in ties), key=lambda tie: tie.distance)

    @property
    def _largest_difference(self) -> float:
        return max(float(difference.max()) for difference in self._differences(self.best))

    def _run(
        self,
        otherwise: Mapping[Node, frozenset[int]],
        known: Mapping[Node, Any],
        ties: Mapping[Node, Sequence[_Tie]],
    ) -> _Run:
        decider = _Decider(self._graph_module, self._sign_zero, otherwise, ties)
        result = decider.run(*self._inputs, initial_env=dict(known))
        answers = [result] if isinstance(result, torch.Tensor) else list(result)
        return _Run(otherwise, decider.env, decider.ties, answers)

    def _with_other(self, changed: Sequence[_Tie]) -> _Run:
        """Return the best run with these decisions turned round; only what depends on them is run again."""
        run = self.best
        otherwise = dict(run.otherwise)
        for tie in changed:
            otherwise[tie.node] = otherwise.get(tie.node, frozenset()) ^ {tie.place}
        affected = {tie.node for tie in changed}
        for node in self._graph_module.graph.nodes:
            if node.op == "output" or any(read in affected for read in node.all_input_nodes):
                affected.add(node)
        known = {node: value for node, value in run.values.items() if node not in affected}
        return self._run(otherwise, known, run.ties)

    def _total(self, run: _Run) -> float:
        return sum(float(difference.sum()) for difference in self._differences(run))

    def _differences(self, run: _Run) -> list[torch.Tensor]:
        differences = [(a.double() - b.double()).abs() for a, b in zip(run.answers, self._outputs, strict=True)]
        return [difference.nan_to_num(nan=torch.inf) for difference in differences]


def explain(
    graph_module: GraphModule, sign_zero: SignZero, inputs: Tensors, outputs: Tensors, tolerance: float
) -> tuple[Tensors, int] | None:
    """Return a model's answers with near ties decided as in ``outputs``, and how many of them fall otherwise than here.

    None if no such decisions are found among the first ``MOST_TRIALS`` that are tried.

    Parameters
    ----------
    graph_module
        Of an exported program.
    sign_zero
        What the sign of an exact zero is.
    inputs
        Of one batch.
    outputs
        What somebody else computed.
    tolerance
        How far the answers may be apart, absolute.
    """
    search = _Search(graph_module, sign_zero, inputs, outputs)
    if not search.is_explained(tolerance):
        return None
    return search.best.answers, sum(map(len, search.best.otherwise.values()))
