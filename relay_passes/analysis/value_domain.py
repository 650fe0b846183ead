"""Which values can a tensor take? An abstract interpretation that keeps small finite sets, and bounds otherwise.

A layer is binary because of the values its operands take, not because of how the training code spelled them.

The sign of zero counts as +1 here, as it does once a sign is a bit, *unless zeros are there by construction*: after a
relu, a clip at zero, zero padding or a sum of signs they are as frequent as any other value, and a sign of such a
tensor takes the value 0 in earnest. So it does where nothing but zeros is read: a layer without a bias, or a
normalization without an offset, is zero on what is black. An offset ends that, as every trained batch norm has one.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from tvm import relax

from relay_passes.analysis.domains.differences import of_difference
from relay_passes.analysis.domains.normalised import of_quotient
from relay_passes.analysis.domains.reductions import scale_of
from relay_passes.analysis.domains.rounding import is_integer, within
from relay_passes.analysis.domains.rules import BOUNDS, RULES
from relay_passes.analysis.evaluate import ELEMENTWISE, Array, evaluate
from relay_passes.analysis.per_channel import Chain, integers_to, portions
from relay_passes.analysis.values import ANY, BOOLEAN, WHOLE, Domain, Values, bounded, listed, of_array, union
from relay_passes.dialect import dtype_of, shape_of
from relay_passes.rewrite import Expr, array_of, bindings, is_constant, is_tensor, op_name

#: Combinations of the operands' few values that are tried.
_MOST_TRIED = 1 << 14
_BYTES = frozenset({"uint8", "int8"})


class ValueDomains:
    """The values of the variables seen so far, which must come in the order of their bindings."""

    def __init__(self, proves_zeros: bool = False) -> None:
        """Start with nothing known.

        Parameters
        ----------
        proves_zeros
            Whether a sign behind a layer of few-valued operands is tried on every sum that the layer can produce;
            takes channels-last layers.
        """
        self._known: dict[relax.Var, Values] = {}
        self._made: dict[relax.Var, Expr] = {}
        self._proves_zeros = proves_zeros

    @classmethod
    def of_function(cls, function: relax.Function, proves_zeros: bool = False) -> ValueDomains:
        """Return the values of everything in a straight-line function."""
        domains = cls(proves_zeros)
        domains.enter(function.params)
        for binding in bindings(function):
            domains.observe(binding.var, binding.value)
        return domains

    def enter(self, params: Sequence[relax.Var]) -> None:
        """Note a function's inputs: exact zeros are as likely there as black pixels are."""
        for param in params:
            self._known[param] = _of_type(param, Values(zeros=True))

    def observe(self, var: relax.Var, value: Expr) -> None:
        """Derive the values of a variable from what it is bound to."""
        self._made[var] = value
        found = self._of_call(value) if isinstance(value, relax.Call) else self.values(value)
        self._known[var] = _of_type(var, found)

    def of(self, value: Expr) -> Domain:
        """Return the domain of a constant or of a variable seen before."""
        return self.values(value).few

    def values(self, value: Expr) -> Values:
        """Return what is known of a constant, a tuple, or a variable seen before."""
        if is_constant(value):
            return of_array(array_of(value))
        if isinstance(value, relax.Tuple):
            return union(*(self.values(field) for field in value.fields))
        if isinstance(value, relax.TupleGetItem):
            return self._of_item(value)
        return self._known.get(value, ANY) if isinstance(value, relax.Var) else ANY

    def _of_item(self, value: relax.TupleGetItem) -> Values:
        """Return what is known of one field: all fields of a call's result are alike but for positions."""
        fields = self._made.get(value.tuple_value, value.tuple_value)
        if isinstance(fields, relax.Tuple):
            return self.values(fields.fields[int(value.index)])
        fields_type = value.tuple_value.ty
        if isinstance(fields_type, relax.TupleType) and is_integer(str(fields_type.fields[int(value.index)].dtype)):
            return bounded(-np.inf, np.inf, True, WHOLE)
        return self.values(value.tuple_value)

    def _of_call(self, node: relax.Call) -> Values:
        name = (op_name(node) or "").removeprefix("relax.")
        operands = [self.values(arg) for arg in node.args]
        proved = self._meets_zero(node.args[0]) if name == "sign" and self._proves_zeros else None
        if proved is not None:
            operands = [dataclasses.replace(operands[0], zeros=proved)]
        if name == "where":
            return union(*(self._without_compared(node, branch, operands[branch]) for branch in (1, 2)))
        if name in RULES:
            return RULES[name](node, operands)
        return self._of_elementwise(node, name)

    def _without_compared(self, where: relax.Call, branch: int, values: Values) -> Values:
        """Return a branch's values less the one that the condition rules out: ``where(s == 0, 1, s)`` is never 0."""
        condition = self._made.get(where.args[0])
        compares = {1: "relax.not_equal", 2: "relax.equal"}[branch]
        if condition is None or op_name(condition) != compares or values.few is None:
            return values
        operands = list(condition.args)
        if not any(operand.same_as(where.args[branch]) for operand in operands):
            return values
        ruled_out = [self.values(operand) for operand in operands if not operand.same_as(where.args[branch])]
        if len(ruled_out) != 1 or not ruled_out[0].is_one_number:
            return values
        left = values.few - (ruled_out[0].few or frozenset())
        return listed(left) if left else values

    def _meets_zero(self, x: Expr) -> bool | None:
        """Tell whether a value that one layer's sum, or a byte of the input, decides is zero for one that occurs.

        None if nothing of the kind decides it.
        """
        chain = Chain(
            lambda value: self._made.get(value, value), lambda made: _is_byte(made) or self._is_exact_sum(made)
        )
        source = chain.source(x)
        if source is None:
            return None
        if source not in self._made:
            return bool((chain.of_sums(x, source, _all_bytes(dtype_of(source)), slice(None)) == 0).any())
        sums, scales = self._sums(self._made[source])
        with np.errstate(all="ignore"):
            return any(
                bool((chain.of_sums(x, source, sums[:, None] * scale[portion], portion) == 0).any())
                for scale in scales
                for portion in portions(len(scale), len(sums))
            )

    def _is_exact_sum(self, made: Expr) -> bool:
        """Tell whether a call is a layer of signs and signs with a scale per output channel."""
        name = op_name(made)
        if name in {"relax.bnn.conv2d", "relax.bnn.dense"}:
            return True
        if name not in {"relax.nn.conv2d", "relax.matmul"} or not is_constant(made.args[1]):
            return False
        x = self.of(made.args[0])
        return x is not None and {abs(value) for value in x} <= {0.0, 1.0} and scale_of(made) is not None

    def _sums(self, layer: relax.Call) -> tuple[Array, Array]:
        """Return the integers that a layer sums up to, and their ``(matrices, channels)`` scales in its dtype.

        A layer has one matrix, unless it is a product with a matrix for each group.
        """
        weight = array_of(layer.args[1])
        scale = scale_of(layer) if op_name(layer) in {"relax.nn.conv2d", "relax.matmul"} else np.ones(len(weight))
        scales = np.asarray(scale, str(layer.ty.dtype))
        return integers_to(weight.size // len(scales)), scales.reshape(-1, shape_of(layer)[-1])

    def _of_elementwise(self, node: relax.Call, name: str) -> Values:
        tensors = [arg for arg in node.args if is_tensor(arg)]
        operands = [self.values(arg) for arg in tensors]
        if tensors and f"relax.{name}" in ELEMENTWISE and all(operand.few is not None for operand in operands):
            tried = _tried(node, tensors, [sorted(operand.few or ()) for operand in operands])
            if tried is not None:
                return tried
        if name in {"multiply", "divide"}:
            within_one = of_quotient(node, lambda value: self._made.get(value, value), self.values)
            if within_one is not None:
                return within_one
        found = BOUNDS[name](node, [self.values(arg) for arg in node.args]) if name in BOUNDS else ANY
        if name == "subtract":
            found = of_difference(node, lambda value: self._made.get(value, value), self.values, found)
        return found


def _is_byte(value: Expr) -> bool:
    """Tell whether a value is an input of 8-bit integers, all of which may occur."""
    return isinstance(value, relax.Var) and is_tensor(value) and dtype_of(value) in _BYTES


def _all_bytes(dtype: str) -> Array:
    """Return every value of a type, ``(256, 1)``."""
    limits = np.iinfo(dtype)
    return np.arange(limits.min, limits.max + 1).astype(dtype)[:, None]


def _tried(node: relax.Call, tensors: Sequence[Expr], values: Sequence[Sequence[float]]) -> Values | None:
    """Try every combination of the operands' few values; None if they are too many, or one is no number."""
    if np.prod([len(few) for few in values]) > _MOST_TRIED:
        return None
    alike = [next(k for k, other in enumerate(tensors) if other.same_as(arg)) for arg in tensors]
    combinations = [
        combination
        for combination in itertools.product(*values)
        if all(combination[k] == combination[first] for k, first in enumerate(alike))
    ]
    operands = [
        np.array([combination[k] for combination in combinations]).astype(dtype_of(arg))
        for k, arg in enumerate(tensors)
    ]
    found = np.unique(evaluate(node, operands).astype(float))
    return None if np.isnan(found).any() else listed(found.tolist())


def _of_type(var: relax.Var, values: Values) -> Values:
    """Return what is known of a variable, its type included: integers are whole, and truth values are two."""
    if not isinstance(var.ty, relax.TensorType):
        return values
    dtype = dtype_of(var)
    if dtype == "bool":
        return values if values.few is not None and values.few <= frozenset({0.0, 1.0}) else BOOLEAN
    return within(dtype, values) if is_integer(dtype) else values
