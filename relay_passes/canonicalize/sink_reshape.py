"""Move elementwise operators before the reshaping of a layer's result.

Before: ``gelu(multiply(reshape(matmul(x, w), (1, 128, 512)), s))``, as PyTorch lays a linear layer's rows flat.
After:  ``reshape(gelu(multiply(matmul(x, w), s)), (1, 128, 512))``.

What is computed of a layer's result then follows it in the shape that it has, and ends in one kernel with it. Only
where channels stay the last axis, and all else that is read has none but channels, or the result's own shape.
"""

from __future__ import annotations

import math

import tvm
from tvm import relax

from relay_passes.analysis.evaluate import ELEMENTWISE
from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, is_tensor, op_name

_LAYERS = frozenset({"relax.matmul", "relax.nn.conv2d"})
_RESHAPES = frozenset({"relax.reshape", "relax.expand_dims", "relax.squeeze"})
#: Packing looks at the sign's operand.
_SINKING = ELEMENTWISE - {"relax.sign"}


class _Sink(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        #: What was reshaped, by the result.
        self._flat: dict[Expr, Expr] = {}

    def copy(self, binding: relax.VarBinding) -> None:
        name, node = op_name(binding.value), self.substituted(binding.value)
        if name in _RESHAPES:
            self._reshape(binding, node.args[0])
        elif name in _SINKING:
            self._sink(binding, node)
        else:
            super().copy(binding)

    def _reshape(self, binding: relax.VarBinding, source: Expr) -> None:
        """Copy a reshape of a layer's result, or leave it out if it takes back another."""
        shape, flat = shape_of(binding.var), self._flat.get(source, source)
        if shape == shape_of(flat):
            self.renamed[binding.var] = flat
            return
        super().copy(binding)
        is_of_layer = source in self._flat or op_name(self.definition(source)) in _LAYERS
        if is_of_layer and shape[-1:] == shape_of(flat)[-1:]:
            self._flat[self.renamed[binding.var]] = flat

    def _sink(self, binding: relax.VarBinding, node: relax.Call) -> None:
        shape = shape_of(binding.var)
        flats = {shape_of(self._flat[arg]) for arg in node.args if arg in self._flat and shape_of(arg) == shape}
        if len(flats) != 1 or not all(self._can_be_flat(arg, shape) for arg in node.args):
            super().copy(binding)
            return
        (flat,) = flats
        args = [self._flattened(arg, flat) for arg in node.args]
        value = self.emit(relax.Call(node.op, args, node.attrs, node.ty_args, node.span), str(binding.var.name))
        result = self.emit(relax.op.reshape(value, shape))
        self._flat[result] = value
        self.renamed[binding.var] = result

    def _can_be_flat(self, arg: Expr, shape: tuple[int, ...]) -> bool:
        """Tell whether an operand is a number, has channels alone, or the result's shape."""
        if not is_tensor(arg) or shape_of(arg) in {(), shape}:
            return True
        return is_constant(arg) and math.prod(shape_of(arg)[:-1]) == 1

    def _flattened(self, arg: Expr, shape: tuple[int, ...]) -> Expr:
        if not is_tensor(arg) or not shape_of(arg):
            return arg
        if is_constant(arg) and math.prod(shape_of(arg)[:-1]) == 1:
            return constant(array_of(arg).reshape(-1))
        if arg in self._flat and shape_of(self._flat[arg]) == shape:
            return self._flat[arg]
        return self.emit(relax.op.reshape(arg, shape))


def sink_reshape(module: tvm.IRModule) -> tvm.IRModule:
    """Sink reshapes of a channels-last module."""
    return _Sink().run(module)
