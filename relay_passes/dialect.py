"""The bnn dialect: Relax operators that carry the meaning of binary layers.

Activations are NHWC with channels last, convolution weights are OHWI. Two families:

canonical, on sign tensors
    ``bnn.sign``, ``bnn.conv2d``, ``bnn.dense``, ``bnn.matmul``; ``bnn.at_border`` reads a constant of every kind of
    position, and ``bnn.multiply_add`` is a batch norm
packed, on words (see :mod:`schedules.kernels.binary.bits`)
    ``bnn.pack``, ``bnn.packed_conv2d``, ``bnn.packed_dense``, ``bnn.packed_matmul``; ``bnn.count_conv2d``,
    ``bnn.count_dense`` and ``bnn.count_matmul`` stop at the popcount; ``bnn.any_pool`` is the maximum of bits. The four
    layers with weights exist a second time for tiles of bytes (see :mod:`schedules.amx.tiles`), as
    ``bnn.tiled_conv2d``, ``bnn.tiled_dense``, ``bnn.tiled_count_conv2d`` and ``bnn.tiled_count_dense``

and float layers whose weights are laid out for the kernels: ``bnn.blocked_conv2d`` / ``bnn.blocked_dense``, and
``bnn.two_valued_conv2d`` / ``bnn.two_valued_dense``, whose weights of two values are stored as bits. Convolutions of
images are ``bnn.winograd_conv2d`` (see :mod:`schedules.kernels.floats.winograd`) or ``bnn.planar_conv2d`` (see
:mod:`schedules.kernels.floats.planes`), whose input alone is NCHW. On bytes (see :mod:`schedules.kernels.narrow.int8`)
they are ``bnn.activation_scale``, ``bnn.quantize``, ``bnn.int8_conv2d`` and ``bnn.int8_dense``, on bfloat16 (see
:mod:`schedules.kernels.narrow.bf16`) ``bnn.round_bf16``, ``bnn.bf16_conv2d`` and ``bnn.bf16_dense``.

The operators exist in TVM once this module is imported; TVMScript then knows them as ``R.bnn.*``.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tvm
import tvm.relax.script.parser
from tvm import relax
from tvm.script import relax as R

from schedules.kernels.binary.bconv2d import count_dtype
from schedules.kernels.binary.bitpack import BorderAxes
from schedules.kernels.binary.bits import words_for
from schedules.kernels.window import Axis, Window
from schedules.machines.dot import Dot

Expr: TypeAlias = relax.Expr
#: (blocks, kernel height, kernel width, depth words, lanes)
_BLOCKED_CONVOLUTION = 5
_Infer = Callable[[relax.Call], relax.TensorType]


def shape_of(value: Expr | relax.TensorType) -> tuple[int, ...]:
    """Return a tensor's static shape.

    Raises
    ------
    ValueError
        If the value is no tensor of static shape.
    """
    tensor = value if isinstance(value, relax.TensorType) else value.ty
    if not isinstance(tensor, relax.TensorType) or tensor.shape is None:
        raise ValueError(f"{value} has no static shape")
    return tuple(int(extent) for extent in tensor.shape)


def dtype_of(value: Expr) -> str:
    """Return a tensor's dtype."""
    return str(value.ty.dtype)


def call(name: str, args: Sequence[Expr], **attrs: Any) -> relax.Call:
    """Return the call of ``relax.bnn.<name>``."""
    dictionary = tvm.ir.make_node("ir.DictAttrs", **attrs) if attrs else None
    return relax.Call(tvm.ir.Op.get(f"relax.bnn.{name}"), list(args), dictionary)


def window_of(node: relax.Call) -> Window:
    """Return the window that a convolution of this dialect slides."""
    attrs = node.attrs
    vertical, horizontal = (int(extent) for extent in attrs["kernel"])
    top, left, bottom, right = (int(extent) for extent in attrs["padding"])
    stride_h, stride_w = (int(extent) for extent in attrs["strides"])
    dilate_h, dilate_w = (int(extent) for extent in attrs["dilation"])
    return Window((vertical, horizontal), (stride_h, stride_w), (top, left, bottom, right), (dilate_h, dilate_w))


def window_attrs(window: Window) -> dict[str, list[int]]:
    """Return a window as the attributes that :func:`window_of` reads."""
    return {
        "kernel": list(window.kernel),
        "strides": list(window.strides),
        "padding": list(window.padding),
        "dilation": list(window.dilation),
    }


def sign(x: Expr, zero: int = 1) -> relax.Call:
    """+1 where ``x`` > 0, -1 where it is negative, and ``zero`` (+1 or -1) where it is 0; shape and dtype of ``x``."""
    return call("sign", [x], zero=zero)


def multiply_add(x: Expr, a: Expr, b: Expr) -> relax.Call:
    """``x * a + b`` with one rounding, as PyTorch's batch norm has it; ``a`` and ``b`` are broadcast to ``x``."""
    return call("multiply_add", [x, a, b])


def conv2d(signs: Expr, weight: Expr, window: Window, groups: int, pad_sign: int = 0) -> relax.Call:
    """Convolve a sign tensor with ±1 weights; padding counts as ``pad_sign``, 0 or -1. int32."""
    return call("conv2d", [signs, weight], groups=groups, pad_sign=pad_sign, **window_attrs(window))


def dense(signs: Expr, weight: Expr) -> relax.Call:
    """``(..., K)`` signs times the transpose of ``(O, K)`` ±1 weights; int32."""
    return call("dense", [signs, weight])


def matmul(a: Expr, b: Expr) -> relax.Call:
    """``(..., M, K)`` signs times the transpose of ``(..., N, K)`` signs; int32."""
    return call("matmul", [a, b])


def packed_matmul(a: Expr, b: Expr, depth: int, lanes: int) -> relax.Call:
    """``bnn.matmul`` on words; see :func:`schedules.kernels.binary.bconv2d.bmatmul`."""
    return call("packed_matmul", [a, b], depth=depth, lanes=lanes)


def count_matmul(a: Expr, b: Expr, lanes: int, rows: int) -> relax.Call:
    """Count the mismatches of ``bnn.packed_matmul``; see :func:`schedules.kernels.binary.bconv2d.count_matmul`."""
    return call("count_matmul", [a, b], lanes=lanes, rows=rows)


def pack(
    x: Expr, tau: Expr, flip: Expr, word_bits: int, groups: int = 1, classes: Sequence[Sequence[int]] = ()
) -> relax.Call:
    """Bits ``(x >= tau) xor flip`` as words; ``tau`` is per channel, ``flip`` is packed.

    With ``classes``, the size and the clipped ends of the vertical and the horizontal axis of an NHWC ``x`` (-1 where
    the ends meet; see :attr:`schedules.kernels.window.Axis.clipped`), ``tau`` is ``(row classes, column classes,
    channels)``.
    """
    flat = [value for axis in classes for value in axis]
    return call("pack", [x, tau, flip], word_bits=word_bits, groups=groups, classes=flat)


def class_attribute(axis: Axis) -> list[int]:
    """Return an axis as ``classes`` of :func:`pack` and :func:`at_border` has it: output positions, clipped ends."""
    return [axis.out, *(axis.clipped if axis.clipped is not None else (-1, -1))]


def classes_of(node: relax.Call) -> BorderAxes | None:
    """Return the axes whose border classes a call distinguishes, None if there are none."""
    if not node.attrs["classes"]:
        return None
    rows, top, bottom, columns, left, right = (int(value) for value in node.attrs["classes"])
    return (rows, top, bottom), (columns, left, right)


def at_border(table: Expr, axes: Sequence[Axis]) -> relax.Call:
    """Read a ``(row classes, column classes, channels)`` table at each position of two axes; NHWC of one sample."""
    return call("at_border", [table], classes=[value for axis in axes for value in class_attribute(axis)])


def any_pool(words: Expr, flip: Expr, window: Window) -> relax.Call:
    """OR of the words under a window, flipped; see :func:`schedules.kernels.pool.any_pool`."""
    return call("any_pool", [words, flip], **window_attrs(window))


def packed_conv2d(words: Expr, weights: Expr, border: Expr, window: Window, channels: int, groups: int) -> relax.Call:
    """``bnn.conv2d`` on words; see :func:`schedules.kernels.binary.bconv2d.bconv2d`."""
    return call("packed_conv2d", [words, weights, border], channels=channels, groups=groups, **window_attrs(window))


def count_conv2d(words: Expr, weights: Expr, window: Window, channels: int, groups: int) -> relax.Call:
    """Count the mismatches of ``bnn.packed_conv2d``; see :func:`schedules.kernels.binary.bconv2d.count_conv2d`."""
    return call("count_conv2d", [words, weights], channels=channels, groups=groups, **window_attrs(window))


def count_dense(words: Expr, weights: Expr, channels: int) -> relax.Call:
    """Count the mismatches of ``bnn.packed_dense``; see :func:`schedules.kernels.binary.bconv2d.count_dense`."""
    return call("count_dense", [words, weights], channels=channels)


def tiled(node: relax.Call, weights: Expr, ones: Expr) -> relax.Call:
    """Return a packed layer with weights laid out for tiles, and how many of them are set for each output channel.

    ``weights`` and ``ones`` are what :func:`schedules.amx.tiles.tiled_weights` returns.
    """
    words, _, *border = node.args
    name = str(node.op.name).removeprefix("relax.bnn.").removeprefix("packed_")
    op = tvm.ir.Op.get(f"relax.bnn.tiled_{name}")
    return relax.Call(op, [words, weights, ones, *border], node.attrs, span=node.span)


def packed_dense(words: Expr, weights: Expr, channels: int, depth: int) -> relax.Call:
    """``bnn.dense`` on words; see :func:`schedules.kernels.binary.bconv2d.bdense`."""
    return call("packed_dense", [words, weights], channels=channels, depth=depth)


def blocked_conv2d(x: Expr, weights: Expr, window: Window, channels: int) -> relax.Call:
    """Float convolution with blocked weights; see :func:`schedules.kernels.floats.conv2d.conv2d`."""
    return call("blocked_conv2d", [x, weights], channels=channels, **window_attrs(window))


def planar_conv2d(planes: Expr, weights: Expr, window: Window, channels: int) -> relax.Call:
    """Float convolution of NCHW to NHWC with blocked weights; see :func:`schedules.kernels.floats.planes.conv2d`."""
    return call("planar_conv2d", [planes, weights], channels=channels, **window_attrs(window))


def blocked_dense(x: Expr, weights: Expr, channels: int) -> relax.Call:
    """Float linear layer with blocked weights; see :func:`schedules.kernels.floats.conv2d.dense`."""
    return call("blocked_dense", [x, weights], channels=channels)


def winograd_conv2d(planes: Expr, weights: Expr, window: Window, channels: int) -> relax.Call:
    """Float convolution of NCHW to NHWC with fewer products; see :func:`schedules.kernels.floats.winograd.conv2d`."""
    return call("winograd_conv2d", [planes, weights], channels=channels, **window_attrs(window))


def two_valued_conv2d(x: Expr, bits: Expr, values: Expr, window: Window, channels: int) -> relax.Call:
    """``bnn.blocked_conv2d``, weights stored as bits; see :func:`schedules.kernels.floats.conv2d.two_valued_conv2d`."""
    return call("two_valued_conv2d", [x, bits, values], channels=channels, **window_attrs(window))


def two_valued_dense(x: Expr, bits: Expr, values: Expr, channels: int) -> relax.Call:
    """``bnn.blocked_dense``, weights stored as bits; see :func:`schedules.kernels.floats.conv2d.two_valued_dense`."""
    return call("two_valued_dense", [x, bits, values], channels=channels)


def activation_scale(x: Expr) -> relax.Call:
    """Scale of each of ``(samples, steps, lanes)``; see :func:`schedules.kernels.narrow.int8.activation_scale`."""
    return call("activation_scale", [x])


def quantize(x: Expr, scale: Expr, rows: tuple[int, int], start: int, length: int, dot: Dot) -> relax.Call:
    """Bytes for ``dot`` of ``(samples, rows, numbers)``, padded; see :func:`schedules.kernels.narrow.int8.quantize`."""
    return call("quantize", [x, scale], rows=list(rows), start=start, length=length, dtype=dot.activations)


def int8_conv2d(q: Expr, weights: Expr, window: Window, size: tuple[int, int, int], channels: int) -> relax.Call:
    """Convolution of bytes, int32; see :func:`schedules.kernels.narrow.int8.conv2d`."""
    return call("int8_conv2d", [q, weights], size=list(size), channels=channels, **window_attrs(window))


def int8_dense(q: Expr, weights: Expr, channels: int) -> relax.Call:
    """Linear layer on bytes, int32; see :func:`schedules.kernels.narrow.int8.dense`."""
    return call("int8_dense", [q, weights], channels=channels)


def round_bf16(x: Expr, rows: tuple[int, int], start: int, length: int) -> relax.Call:
    """bfloat16's bits of ``(samples, rows, numbers)``, padded; see :func:`schedules.kernels.narrow.bf16.round_rows`."""
    return call("round_bf16", [x], rows=list(rows), start=start, length=length, dtype="uint16")


def bf16_conv2d(q: Expr, weights: Expr, window: Window, size: tuple[int, int, int], channels: int) -> relax.Call:
    """Convolution of bfloat16, float32; see :func:`schedules.kernels.narrow.bf16.conv2d`."""
    return call("bf16_conv2d", [q, weights], size=list(size), channels=channels, **window_attrs(window))


def bf16_dense(q: Expr, weights: Expr, channels: int) -> relax.Call:
    """Linear layer on bfloat16, float32; see :func:`schedules.kernels.narrow.bf16.dense`."""
    return call("bf16_dense", [q, weights], channels=channels)


def _infer_sign(node: relax.Call) -> relax.TensorType:
    return node.args[0].ty


def _convolved(node: relax.Call, channels: int, dtype: str, rows: int = 1) -> relax.TensorType:
    """Return the type of a convolution's result, NHWC; ``rows`` is the axis of its input's rows."""
    count, (height, width) = shape_of(node.args[0])[0], shape_of(node.args[0])[rows : rows + 2]
    vertical, horizontal = window_of(node).axes(height, width)
    return relax.TensorType((count, vertical.out, horizontal.out, channels), dtype)


def _infer_conv2d(node: relax.Call) -> relax.TensorType:
    return _convolved(node, shape_of(node.args[1])[0], "int32")


def _infer_dense(node: relax.Call) -> relax.TensorType:
    return relax.TensorType((*shape_of(node.args[0])[:-1], shape_of(node.args[1])[0]), "int32")


def _infer_matmul(node: relax.Call) -> relax.TensorType:
    return relax.TensorType((*shape_of(node.args[0])[:-1], shape_of(node.args[1])[-2]), "int32")


def _infer_count_matmul(node: relax.Call) -> relax.TensorType:
    *outer, words = shape_of(node.args[0])
    word_bits = int(dtype_of(node.args[0]).removeprefix("uint"))
    return relax.TensorType((*outer, int(node.attrs["rows"])), count_dtype(word_bits, words))


def _infer_pack(node: relax.Call) -> relax.TensorType:
    *outer, channels = shape_of(node.args[0])
    word_bits, groups = int(node.attrs["word_bits"]), int(node.attrs["groups"])
    words = groups * words_for(channels // groups, word_bits)
    return relax.TensorType((*outer, words), f"uint{word_bits}")


def _infer_at_border(node: relax.Call) -> relax.TensorType:
    rows, _, _, columns, _, _ = (int(value) for value in node.attrs["classes"])
    return relax.TensorType((1, rows, columns, shape_of(node.args[0])[-1]), dtype_of(node.args[0]))


def _infer_any_pool(node: relax.Call) -> relax.TensorType:
    return _convolved(node, shape_of(node.args[0])[-1], dtype_of(node.args[0]))


def _infer_channels(dtype: str) -> _Infer:
    return lambda node: _convolved(node, int(node.attrs["channels"]), dtype)


def _infer_rows(dtype: str) -> _Infer:
    return lambda node: relax.TensorType((*shape_of(node.args[0])[:-1], int(node.attrs["channels"])), dtype)


def _infer_planes(node: relax.Call) -> relax.TensorType:
    return _convolved(node, int(node.attrs["channels"]), "float32", rows=2)


def _infer_counts(node: relax.Call) -> relax.TensorType:
    weights = node.args[1]
    word_bits = int(dtype_of(weights).removeprefix("uint"))
    words = math.prod(shape_of(weights)[1:-1])
    channels = int(node.attrs["channels"])
    if len(shape_of(weights)) == _BLOCKED_CONVOLUTION:
        return _convolved(node, channels, count_dtype(word_bits, words))
    return relax.TensorType((*shape_of(node.args[0])[:-1], channels), count_dtype(word_bits, words))


def _infer_scale(node: relax.Call) -> relax.TensorType:
    return relax.TensorType(shape_of(node.args[0])[:1], "float32")


def _infer_quantize(node: relax.Call) -> relax.TensorType:
    samples, height, _ = shape_of(node.args[0])
    padding = sum(int(rows) for rows in node.attrs["rows"])
    return relax.TensorType((samples, height + padding, int(node.attrs["length"])), str(node.attrs["dtype"]))


def _infer_on_rows(dtype: str) -> _Infer:
    def infer(node: relax.Call) -> relax.TensorType:
        height, width, _ = (int(extent) for extent in node.attrs["size"])
        vertical, horizontal = window_of(node).axes(height, width)
        samples = shape_of(node.args[0])[0]
        return relax.TensorType((samples, vertical.out, horizontal.out, int(node.attrs["channels"])), dtype)

    return infer


_OPERATORS: dict[str, tuple[Callable[..., relax.Call], _Infer]] = {
    "sign": (sign, _infer_sign),
    "multiply_add": (multiply_add, _infer_sign),
    "conv2d": (conv2d, _infer_conv2d),
    "dense": (dense, _infer_dense),
    "matmul": (matmul, _infer_matmul),
    "pack": (pack, _infer_pack),
    "at_border": (at_border, _infer_at_border),
    "any_pool": (any_pool, _infer_any_pool),
    "packed_matmul": (packed_matmul, _infer_matmul),
    "count_matmul": (count_matmul, _infer_count_matmul),
    "packed_conv2d": (packed_conv2d, _infer_channels("int32")),
    "packed_dense": (packed_dense, _infer_rows("int32")),
    "count_conv2d": (count_conv2d, _infer_counts),
    "count_dense": (count_dense, _infer_counts),
    "tiled_conv2d": (tiled, _infer_channels("int32")),
    "tiled_dense": (tiled, _infer_rows("int32")),
    "tiled_count_conv2d": (tiled, _infer_channels("int32")),
    "tiled_count_dense": (tiled, _infer_rows("int32")),
    "blocked_conv2d": (blocked_conv2d, _infer_channels("float32")),
    "planar_conv2d": (planar_conv2d, _infer_planes),
    "blocked_dense": (blocked_dense, _infer_rows("float32")),
    "winograd_conv2d": (winograd_conv2d, _infer_planes),
    "two_valued_conv2d": (two_valued_conv2d, _infer_channels("float32")),
    "two_valued_dense": (two_valued_dense, _infer_rows("float32")),
    "activation_scale": (activation_scale, _infer_scale),
    "quantize": (quantize, _infer_quantize),
    "int8_conv2d": (int8_conv2d, _infer_on_rows("int32")),
    "int8_dense": (int8_dense, _infer_rows("int32")),
    "round_bf16": (round_bf16, _infer_quantize),
    "bf16_conv2d": (bf16_conv2d, _infer_on_rows("float32")),
    "bf16_dense": (bf16_dense, _infer_rows("float32")),
}


def _script_constructor(name: str) -> Callable[..., relax.Call]:
    """Return what TVMScript calls for ``R.bnn.<name>(*args, **attrs)``."""
    return lambda *args, **attrs: call(name, args, **attrs)


def _declare() -> None:
    """Tell TVM's operator registry and TVMScript about the dialect."""
    for name, (_, infer) in _OPERATORS.items():
        tvm.ir.register_op_attr(f"relax.bnn.{name}", "FInferType", lambda node, _builder, infer=infer: infer(node))
        tvm.ir.register_op_attr(f"relax.bnn.{name}", "FPurity", True)
    namespace = types.SimpleNamespace(**{name: _script_constructor(name) for name in _OPERATORS})
    # The decorator and tvm.script.from_source look names up in two different modules.
    R.bnn = tvm.relax.script.parser.bnn = namespace


_declare()
