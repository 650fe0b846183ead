"""Rebuild a straight-line Relax function binding by binding: the base of every pass here that changes operators."""

from __future__ import annotations

import collections
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from schedules.defects import locate
from schedules.errors import UserError

Expr: TypeAlias = relax.Expr
MAIN = "main"


def bindings(function: relax.Function) -> list[relax.VarBinding]:
    """Return the bindings of a function in order.

    Raises
    ------
    UserError
        If the function branches.
    """
    found = [binding for block in function.body.blocks for binding in block.bindings]
    for binding in found:
        if isinstance(binding.value, relax.If):
            raise UserError(
                f"'{binding.var.name}' branches on data (torch.cond): only straight-line models can be compiled; "
                "export the branch you need"
            )
    return found


def readers(function: relax.Function) -> collections.Counter[relax.Var]:
    """Count how often each variable is read, the function's result included."""
    counts: collections.Counter[relax.Var] = collections.Counter()
    for binding in bindings(function):
        relax.analysis.post_order_visit(
            binding.value, lambda node: counts.update([node]) if isinstance(node, relax.Var) else None
        )
    counts[function.body.body] += 1
    return counts


def op_name(value: Expr) -> str | None:
    """Return ``relax.add`` for a call of that operator, None for anything else."""
    if isinstance(value, relax.Call) and isinstance(value.op, tvm.ir.Op):
        return str(value.op.name)
    return None


def is_constant(value: Expr) -> bool:
    """Tell whether a value is a tensor known at compile time."""
    return isinstance(value, tvm.ir.GenericConst)


def is_tensor(value: Expr) -> bool:
    """Tell whether a value is a tensor, not a shape, a tuple or a number."""
    return isinstance(value.ty, relax.TensorType)


def array_of(constant: Expr) -> npt.NDArray[Any]:
    """Return the values of a constant tensor."""
    return np.asarray(constant.value.numpy())


def constant(values: npt.NDArray[Any]) -> Expr:
    """Return a constant tensor with those values and their dtype."""
    return relax.const(np.asarray(values, order="C"), str(values.dtype))


def with_span(value: Expr, span: tvm.ir.Span | None) -> Expr:
    """Return a call with the source span that carries its layer's name."""
    if span is None or not isinstance(value, relax.Call):
        return value
    return relax.Call(value.op, value.args, value.attrs, value.ty_args, span)


def named(call: relax.Call, layer: str) -> relax.Call:
    """Return a call with the name of the layer that it computes, and with the type that it has, if any."""
    span = tvm.ir.Span(tvm.ir.SourceName(layer), 0, 0, 0, 0)
    return relax.Call(call.op, call.args, call.attrs, call.ty_args, span, call.ty)


def _place(binding: relax.VarBinding) -> str:
    """Return what a person would call a binding: the layer, or the node and its operator."""
    node = binding.value
    if isinstance(node, relax.Call) and node.span is not None:
        return f"layer '{node.span.source_name.name}'"
    name = op_name(node)
    return f"node '{binding.var.name}'" + (f" ({name})" if name else "")


class Rewriter:
    """Copies ``main``, the module's only function; a pass overrides :meth:`call` to replace calls.

    While it runs, ``self.emit`` adds a binding before the current one and ``self.definition`` looks up what a
    variable of the new function is bound to.
    """

    def __init__(self) -> None:
        """Start with an empty function."""
        self.builder = relax.BlockBuilder()
        self.renamed: dict[relax.Var, Expr] = {}
        self._definitions: dict[relax.Var, Expr] = {}

    def call(self, node: relax.Call) -> Expr:
        """Return what replaces a call whose arguments are already those of the new function."""
        return node

    def begin(self, function: relax.Function) -> None:
        """Look at the function before it is copied."""

    def output_name(self, _value: Expr) -> str:
        """Return the name of the variable that holds the function's result; empty for any."""
        return ""

    def emit(self, value: Expr, name: str = "") -> relax.Var:
        """Bind a value in the new function and return its variable."""
        var = self.builder.emit(value, name)
        self._definitions[var] = self.builder.lookup_binding(var)
        return var

    def definition(self, value: Expr) -> Expr:
        """Return what a variable is bound to, or the value itself if it is no bound variable."""
        while isinstance(value, relax.Var) and value in self._definitions:
            value = self._definitions[value]
        return value

    def run(self, module: tvm.IRModule) -> tvm.IRModule:
        """Return the module with ``main`` rewritten and dead code gone."""
        function = module[MAIN]
        self.begin(function)
        attrs = {key: value for key, value in function.attrs.items() if key != "global_symbol"}
        with self.builder.function(MAIN, list(function.params), attrs):
            with self.builder.dataflow():
                for binding in bindings(function):
                    self._copied(binding)
                result = self.output(self.substituted(function.body.body))
                output = self.builder.emit_output(result, self.output_name(result))
            self.builder.emit_func_output(output)
        tidy = [relax.transform.CanonicalizeBindings(), relax.transform.DeadCodeElimination()]
        return tvm.ir.transform.Sequential(tidy)(self.builder.get())

    def _copied(self, binding: relax.VarBinding) -> None:
        try:
            self.copy(binding)
        except UserError:
            raise
        except Exception as error:
            locate(error, f"at {_place(binding)}")
            raise

    def copy(self, binding: relax.VarBinding) -> None:
        """Put a binding of the old function into the new one."""
        value = self.substituted(binding.value)
        if isinstance(value, relax.Call):
            value = with_span(self.call(value), value.span)
        if isinstance(value, relax.Call | relax.Tuple | relax.TupleGetItem):
            value = self.emit(value, str(binding.var.name))
        self.renamed[binding.var] = value

    def output(self, value: Expr) -> Expr:
        """Return what the function returns instead of ``value``."""
        return value

    def substituted(self, value: Expr) -> Expr:
        """Return a value of the old function in terms of the new one's variables."""
        if isinstance(value, relax.Var):
            return self.renamed.get(value, value)
        if isinstance(value, relax.Call):
            args = [self.substituted(arg) for arg in value.args]
            return relax.Call(value.op, args, value.attrs, value.ty_args, value.span)
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self.substituted(field) for field in value.fields])
        if isinstance(value, relax.TupleGetItem):
            return self._item(self.substituted(value.tuple_value), int(value.index))
        return value

    def _item(self, value: Expr, index: int) -> Expr:
        made = self.definition(value)
        return made.fields[index] if isinstance(made, relax.Tuple) else relax.TupleGetItem(value, index)
