"""Move every convolutional part of the graph to channels-last, where a pixel's channels pack into words.

Before: NCHW convolutions and pools. After: NHWC / OHWI ones, elementwise operators between them in NHWC too, and a
``permute_dims`` only where the model's inputs, outputs or layout-bound operators need the old order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tvm
from tvm import relax

from relay_passes.analysis.evaluate import ELEMENTWISE
from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, is_tensor, op_name, with_span

RANK = 4
TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)
#: Where each NCHW axis lies in NHWC.
_AXIS = {0: 0, 1: 3, 2: 1, 3: 2}
_UNARY = frozenset(f"relax.nn.{name}" for name in ("gelu", "silu", "softplus"))


def new_axis(axis: int) -> int:
    """Return the NHWC position of an NCHW axis, which may be negative."""
    return _AXIS[axis % RANK]


class _ToNhwc(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self._transposed: set[relax.Var] = set()
        self._permuted: dict[tuple[relax.Var, tuple[int, ...]], relax.Var] = {}

    def call(self, node: relax.Call) -> Expr:
        name = op_name(node)
        handler = _HANDLERS.get(name or "")
        if handler is not None and self._wants_nhwc(name, node):
            made = handler(self, node)
            if made is not None:
                return made
        elif (name in ELEMENTWISE or name in _UNARY) and any(map(self.is_transposed, node.args)):
            return self._elementwise(node)
        return relax.Call(node.op, [self.nchw(arg) for arg in node.args], node.attrs, node.ty_args, node.span)

    def _wants_nhwc(self, name: str | None, node: relax.Call) -> bool:
        """Windows always move; operators without one follow their operand."""
        return name in _WINDOWED or any(map(self.is_transposed, self.tensors(node.args[0])))

    def tensors(self, value: Expr) -> list[Expr]:
        """Return the fields of a tuple, or the one tensor."""
        made = self.definition(value)
        return list(made.fields) if isinstance(made, relax.Tuple) else [value]

    def is_transposed(self, value: Expr) -> bool:
        """Tell whether a value of the new function is NHWC where the old one had NCHW."""
        return isinstance(value, relax.Var) and value in self._transposed

    def emit_nhwc(self, value: Expr, span: tvm.ir.Span | None) -> relax.Var:
        """Bind a value that is NHWC."""
        var = self.emit(with_span(value, span))
        self._transposed.add(var)
        return var

    def nhwc(self, value: Expr) -> Expr:
        """Return a rank-4 value in NHWC."""
        if is_constant(value):
            return constant(array_of(value).transpose(TO_NHWC))
        return value if self.is_transposed(value) else self._permute(value, TO_NHWC)

    def nchw(self, value: Expr) -> Expr:
        """Return a value in the layout that the old function had."""
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self.nchw(field) for field in value.fields])
        return self._permute(value, TO_NCHW) if self.is_transposed(value) else value

    def output(self, value: Expr) -> Expr:
        made = self.definition(value)
        return self.nchw(made if isinstance(made, relax.Tuple) else value)

    def _permute(self, value: relax.Var, axes: tuple[int, ...]) -> relax.Var:
        if (value, axes) not in self._permuted:
            shape = shape_of(value)
            moved = [axis for axis in axes if shape[axis] > 1]
            moves = moved != sorted(moved)
            permuted = [shape[axis] for axis in axes]
            made = relax.op.permute_dims(value, list(axes)) if moves else relax.op.reshape(value, permuted)
            self._permuted[value, axes] = self.emit(made)
        return self._permuted[value, axes]

    def _elementwise(self, node: relax.Call) -> Expr:
        args = [self._broadcastable(arg) for arg in node.args]
        return self.emit_nhwc(relax.Call(node.op, args, node.attrs, node.ty_args), node.span)

    def _broadcastable(self, value: Expr) -> Expr:
        """Return an operand of an elementwise operator so that it broadcasts against NHWC tensors."""
        if not is_tensor(value) or len(shape_of(value)) == 0:
            return value
        shape = shape_of(value)
        if len(shape) < RANK:
            widened = (1,) * (RANK - len(shape)) + shape
            value = (
                constant(array_of(value).reshape(widened))
                if is_constant(value)
                else self.emit(relax.op.reshape(value, list(widened)))
            )
        return self.nhwc(value)


def _ints(values: object) -> list[int]:
    return [int(value) for value in values]  # type: ignore[attr-defined]


def _conv2d(rewriter: _ToNhwc, node: relax.Call) -> Expr:
    x, weight = (rewriter.nhwc(arg) for arg in node.args)
    attrs = node.attrs
    moved = relax.op.nn.conv2d(
        x,
        weight,
        strides=_ints(attrs.strides),
        padding=_ints(attrs.padding),
        dilation=_ints(attrs.dilation),
        groups=int(attrs.groups),
        data_layout="NHWC",
        kernel_layout="OHWI",
        out_dtype=attrs.out_dtype,
    )
    return rewriter.emit_nhwc(moved, node.span)


def _pool2d(pool: Callable[..., relax.Call]) -> Callable[[_ToNhwc, relax.Call], Expr]:
    def move(rewriter: _ToNhwc, node: relax.Call) -> Expr:
        attrs = node.attrs
        moved = pool(
            rewriter.nhwc(node.args[0]),
            pool_size=_ints(attrs.pool_size),
            strides=_ints(attrs.strides),
            padding=_ints(attrs.padding),
            dilation=_ints(attrs.dilation),
            ceil_mode=bool(attrs.ceil_mode),
            count_include_pad=bool(attrs.count_include_pad),
            layout="NHWC",
        )
        return rewriter.emit_nhwc(moved, node.span)

    return move


def _adaptive_avg_pool2d(rewriter: _ToNhwc, node: relax.Call) -> Expr:
    size = _ints(node.attrs.output_size)
    return rewriter.emit_nhwc(
        relax.op.nn.adaptive_avg_pool2d(rewriter.nhwc(node.args[0]), size, layout="NHWC"), node.span
    )


def _reduction(reduce: Callable[..., relax.Call]) -> Callable[[_ToNhwc, relax.Call], Expr | None]:
    def move(rewriter: _ToNhwc, node: relax.Call) -> Expr | None:
        if node.attrs.axis is None:
            return None
        old = {int(axis) % RANK for axis in node.attrs.axis}
        axes = sorted(new_axis(axis) for axis in old)
        x = rewriter.nhwc(node.args[0])
        if bool(node.attrs.keepdims):
            return rewriter.emit_nhwc(reduce(x, axes, keepdims=True), node.span)
        left = [axis for axis in TO_NHWC if axis not in old]
        return None if left != sorted(left) else with_span(reduce(x, axes, keepdims=False), node.span)

    return move


def _pad(rewriter: _ToNhwc, node: relax.Call) -> Expr:
    width = np.array(_ints(node.attrs.pad_width)).reshape(RANK, 2)[list(TO_NHWC)].ravel().tolist()
    moved = relax.op.nn.pad(rewriter.nhwc(node.args[0]), width, node.attrs.pad_mode, node.attrs.pad_value)
    return rewriter.emit_nhwc(moved, node.span)


def _strided_slice(rewriter: _ToNhwc, node: relax.Call) -> Expr | None:
    axes, *bounds = ([int(getattr(value, "value", value)) for value in arg.fields] for arg in node.args[1:])
    moved = relax.op.strided_slice(
        rewriter.nhwc(node.args[0]),
        [new_axis(axis % RANK) for axis in axes],
        *bounds,
        assume_inbound=bool(node.attrs.assume_inbound),
    )
    return rewriter.emit_nhwc(moved, node.span)


def _concat(rewriter: _ToNhwc, node: relax.Call) -> Expr:
    fields = [rewriter.nhwc(field) for field in rewriter.tensors(node.args[0])]
    return rewriter.emit_nhwc(relax.op.concat(fields, new_axis(int(node.attrs.axis))), node.span)


_WINDOWED = frozenset(f"relax.nn.{name}" for name in ("conv2d", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"))
_HANDLERS: dict[str, Callable[[_ToNhwc, relax.Call], Expr | None]] = {
    "relax.nn.conv2d": _conv2d,
    "relax.nn.max_pool2d": _pool2d(relax.op.nn.max_pool2d),
    "relax.nn.avg_pool2d": _pool2d(relax.op.nn.avg_pool2d),
    "relax.nn.adaptive_avg_pool2d": _adaptive_avg_pool2d,
    "relax.nn.pad": _pad,
    "relax.mean": _reduction(relax.op.mean),
    "relax.sum": _reduction(relax.op.sum),
    "relax.max": _reduction(relax.op.max),
    "relax.min": _reduction(relax.op.min),
    "relax.concat": _concat,
    "relax.strided_slice": _strided_slice,
}


def to_nhwc(module: tvm.IRModule) -> tvm.IRModule:
    """Rewrite ``main`` to channels-last."""
    return _ToNhwc().run(module)
