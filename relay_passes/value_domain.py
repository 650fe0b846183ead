"""Which values can a tensor take? An abstract interpretation that keeps small finite sets.

A layer is binary because of the values its operands take, not because of how the training code spelled them. The sign
of zero counts as +1 here, as it does once a sign is a bit.
"""

from __future__ import annotations

import itertools

import numpy as np
from tvm import relax

from relay_passes.evaluate import ELEMENTWISE, evaluate
from relay_passes.rewrite import Expr, array_of, bindings, is_constant, op_name

#: The values a tensor can take; None stands for too many to list.
Domain = frozenset[float] | None

MOST_VALUES = 16
_COMPARISONS = frozenset(f"relax.{name}" for name in ("greater", "greater_equal", "less", "less_equal", "equal"))
_MOVES = frozenset(
    f"relax.{name}"
    for name in (
        *("reshape", "permute_dims", "expand_dims", "squeeze", "broadcast_to", "flatten", "strided_slice", "concat"),
        *("max", "min", "nn.max_pool2d", "nn.dropout"),
    )
)
_SIGNS = frozenset({"relax.sign", "relax.bnn.sign"})


def union(*domains: Domain) -> Domain:
    """Return the values that any of the tensors can take."""
    if any(domain is None for domain in domains):
        return None
    joined = frozenset(value for domain in domains if domain is not None for value in domain)
    return joined if len(joined) <= MOST_VALUES else None


def constant_domain(value: Expr) -> Domain:
    """Return the values of a constant tensor, if they are few."""
    values = np.unique(array_of(value))
    return frozenset(values.astype(float).tolist()) if len(values) <= MOST_VALUES else None


class ValueDomains:
    """The domains of the variables seen so far, which must come in the order of their bindings."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self._domains: dict[relax.Var, Domain] = {}

    @classmethod
    def of_function(cls, function: relax.Function) -> ValueDomains:
        """Return the domains of everything in a straight-line function."""
        domains = cls()
        for binding in bindings(function):
            domains.observe(binding.var, binding.value)
        return domains

    def observe(self, var: relax.Var, value: Expr) -> None:
        """Derive the domain of a variable from what it is bound to."""
        self._domains[var] = self._of_value(value)

    def of(self, value: Expr) -> Domain:
        """Return the domain of a constant or of a variable seen before."""
        if is_constant(value):
            return constant_domain(value)
        if isinstance(value, relax.Tuple):
            return union(*(self.of(field) for field in value.fields))
        return self._domains.get(value) if isinstance(value, relax.Var) else None

    def _of_value(self, value: Expr) -> Domain:
        if isinstance(value, relax.Call):
            return self._of_call(value)
        if isinstance(value, relax.TupleGetItem):
            return self.of(value.tuple_value)
        return self.of(value)

    def _of_call(self, node: relax.Call) -> Domain:
        name = op_name(node)
        if name in _SIGNS or name in _COMPARISONS:
            return frozenset({-1.0, 1.0}) if name in _SIGNS else frozenset({0.0, 1.0})
        if name == "relax.where":
            return union(self.of(node.args[1]), self.of(node.args[2]))
        if name == "relax.nn.pad":
            return union(self.of(node.args[0]), frozenset({float(node.attrs.pad_value)}))
        if name in _MOVES:
            return self.of(node.args[0])
        return self._of_elementwise(node) if name in ELEMENTWISE else None

    def _of_elementwise(self, node: relax.Call) -> Domain:
        """Try every combination of the operands' values."""
        tensors = [arg for arg in node.args if isinstance(arg.ty, relax.TensorType)]
        domains = [self.of(arg) for arg in tensors]
        if any(domain is None for domain in domains):
            return None
        combinations = list(itertools.product(*(sorted(domain) for domain in domains if domain is not None)))
        operands = [
            np.array([values[k] for values in combinations]).astype(str(arg.ty.dtype)) for k, arg in enumerate(tensors)
        ]
        results = np.unique(evaluate(node, operands)).astype(float)
        return frozenset(results.tolist()) if len(results) <= MOST_VALUES else None


def describe(domain: Domain) -> str:
    """Return a domain as a reader expects it: ``{-1, 1}`` or ``many values``."""
    if domain is None:
        return "many values"
    return "{" + ", ".join(f"{value:g}" for value in sorted(domain)) + "}"
