"""Lower every operator to TIR: the kernels' plain meanings, one unscheduled function a fused layer.

Before: Relax functions of ``bnn`` and standard operators. After: ``call_tir`` of one PrimFunc each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
from tvm import relax, te

from relay_passes.dialect import classes_of, dtype_of, shape_of, window_of
from schedules.amx.blocks import Layer
from schedules.amx.counts import counts
from schedules.amx.tiles import LANES
from schedules.kernels.binary.bconv2d import (
    bconv2d,
    bdense,
    bmatmul,
    convolved_dots,
    count_conv2d,
    count_dense,
    count_matmul,
    row_dots,
)
from schedules.kernels.binary.bitpack import bitpack
from schedules.kernels.binary.border import at_border
from schedules.kernels.convolution import first_channels
from schedules.kernels.floats import planes, winograd
from schedules.kernels.floats.conv2d import conv2d, dense, two_valued_conv2d, two_valued_dense
from schedules.kernels.narrow import bf16, int8
from schedules.kernels.pool import any_pool
from schedules.kernels.resize import LAYOUTS, resize_linear

_Legalize = Callable[[relax.BlockBuilder, relax.Call], relax.Expr]


def _sizes(node: relax.Call, *names: str) -> list[int]:
    return [int(node.attrs[name]) for name in names]


def _kernel(meaning: Callable[..., Any], options: Callable[[relax.Call], list[Any]]) -> _Legalize:
    """Return the rule that turns a call into ``meaning(*tensors, *options(call))``."""

    def legalize(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
        values = options(node)
        name = meaning.__name__
        return builder.call_te(lambda *tensors: meaning(*tensors, *values), *node.args, primfunc_name_hint=name)

    return legalize


def _pack(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
    x = node.args[0]
    word_bits, groups = _sizes(node, "word_bits", "groups")
    function = bitpack(shape_of(x), dtype_of(x), word_bits, groups, classes_of(node))
    return relax.call_tir(builder.add_func(function, "bitpack"), list(node.args), out_ty=node.ty)


def _quantize(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
    samples, height, width = shape_of(node.args[0])
    top, bottom = (int(rows) for rows in node.attrs["rows"])
    start, length = _sizes(node, "start", "length")
    function = int8.quantize((samples, height, width), (top, bottom), start, length, str(node.attrs["dtype"]))
    return relax.call_tir(builder.add_func(function, "quantize"), list(node.args), out_ty=node.ty)


def _round_bf16(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
    samples, height, width = shape_of(node.args[0])
    top, bottom = (int(rows) for rows in node.attrs["rows"])
    function = bf16.round_rows((samples, height, width), (top, bottom), *_sizes(node, "start", "length"))
    return relax.call_tir(builder.add_func(function, "round_bf16"), list(node.args), out_ty=node.ty)


def _of_planes(meaning: Callable[..., tvm.tirx.PrimFunc], name: str) -> _Legalize:
    """Return the rule for a convolution of NCHW to NHWC."""

    def legalize(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
        image, weights = node.args
        (channels,) = _sizes(node, "channels")
        function = meaning(shape_of(image), shape_of(weights), window_of(node), channels)
        return relax.call_tir(builder.add_func(function, name), [image, weights], out_ty=node.ty)

    return legalize


def _conv2d_on_rows(node: relax.Call) -> list[Any]:
    return [window_of(node), tuple(int(extent) for extent in node.attrs["size"]), *_sizes(node, "channels")]


def _in_tiles(finish: Callable[..., Any] | None) -> _Legalize:
    """Return the rule for a layer whose mismatches are counted in tiles; ``finish`` makes dot products of them."""

    def legalize(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
        words, weights, ones, *border = node.args
        window = window_of(node) if "kernel" in node.attrs else None
        blocks, *_ = shape_of(weights)
        layer = Layer(shape_of(words), blocks, window)
        out = relax.TensorType((*layer.spatial, blocks * LANES), "int32")
        function = builder.add_func(counts(layer), "counts_in_tiles")
        found = builder.emit(relax.call_tir(function, [words, weights, ones], out_ty=out))
        (channels,) = _sizes(node, "channels")
        if finish is not None:
            return builder.call_te(lambda *tensors: finish(node, *tensors), found, *border, primfunc_name_hint="dot")
        if channels == blocks * LANES:
            return found
        return builder.call_te(_crop, found, channels, primfunc_name_hint="count")

    return legalize


def _crop(count: te.Tensor, channels: int) -> te.Tensor:
    return first_channels(count, channels, "count", lambda *index: index[-1])


def _tiled_conv2d(node: relax.Call, count: te.Tensor, border: te.Tensor) -> te.Tensor:
    _, height, width, _ = shape_of(node.args[0])
    return convolved_dots(count, border, window_of(node), (height, width), *_sizes(node, "channels"))


def _tiled_dense(node: relax.Call, count: te.Tensor) -> te.Tensor:
    return row_dots(count, *_sizes(node, "channels", "depth"))


def _sign(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
    x = node.args[0]
    one, minus_one = (relax.const(value, dtype_of(x)) for value in (1, -1))
    compare = relax.op.greater_equal if _sizes(node, "zero") == [1] else relax.op.greater
    return relax.op.where(builder.emit(compare(x, relax.const(0, dtype_of(x)))), one, minus_one)


def _multiply_add(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
    """Two roundings where the value itself is wanted, as schedules were searched for; signs of it are thresholds."""
    x, a, b = node.args
    return relax.op.add(builder.emit(relax.op.multiply(x, a)), b)


def _conv2d(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
    """Unpacked signs multiply as the floats they are: exact, slow, and only met where a test enters in the middle."""
    window = window_of(node)
    signs, weight = node.args
    padding = list(window.padding)
    if _sizes(node, "pad_sign") == [-1]:
        top, left, bottom, right = padding
        signs = builder.emit(relax.op.nn.pad(signs, [0, 0, top, bottom, left, right, 0, 0], "constant", -1.0))
        padding = [0, 0, 0, 0]
    product = relax.op.nn.conv2d(
        signs,
        weight,
        strides=list(window.strides),
        padding=padding,
        dilation=list(window.dilation),
        groups=_sizes(node, "groups")[0],
        data_layout="NHWC",
        kernel_layout="OHWI",
    )
    return relax.op.astype(builder.emit(product), "int32")


def _dense(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
    signs, weight = node.args
    product = relax.op.matmul(signs, builder.emit(relax.op.permute_dims(weight)))
    return relax.op.astype(builder.emit(product), "int32")


def _matmul(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
    a, b = node.args
    rank = len(shape_of(b))
    transposed = builder.emit(relax.op.permute_dims(b, [*range(rank - 2), rank - 1, rank - 2]))
    return relax.op.astype(builder.emit(relax.op.matmul(a, transposed)), "int32")


_RULES: dict[str, _Legalize] = {
    "sign": _sign,
    "multiply_add": _multiply_add,
    "conv2d": _conv2d,
    "dense": _dense,
    "matmul": _matmul,
    "pack": _pack,
    "packed_conv2d": _kernel(bconv2d, lambda node: [window_of(node), *_sizes(node, "channels", "groups")]),
    "packed_dense": _kernel(bdense, lambda node: _sizes(node, "channels", "depth")),
    "count_conv2d": _kernel(count_conv2d, lambda node: [window_of(node), *_sizes(node, "channels", "groups")]),
    "count_dense": _kernel(count_dense, lambda node: _sizes(node, "channels")),
    "tiled_conv2d": _in_tiles(_tiled_conv2d),
    "tiled_dense": _in_tiles(_tiled_dense),
    "tiled_count_conv2d": _in_tiles(None),
    "tiled_count_dense": _in_tiles(None),
    "at_border": _kernel(at_border, lambda node: [classes_of(node)]),
    "any_pool": _kernel(any_pool, lambda node: [window_of(node)]),
    "count_matmul": _kernel(count_matmul, lambda node: _sizes(node, "lanes", "rows")),
    "packed_matmul": _kernel(bmatmul, lambda node: _sizes(node, "depth", "lanes")),
    "blocked_conv2d": _kernel(conv2d, lambda node: [window_of(node), *_sizes(node, "channels")]),
    "planar_conv2d": _of_planes(planes.conv2d, "planar_conv2d"),
    "blocked_dense": _kernel(dense, lambda node: _sizes(node, "channels")),
    "two_valued_conv2d": _kernel(two_valued_conv2d, lambda node: [window_of(node), *_sizes(node, "channels")]),
    "two_valued_dense": _kernel(two_valued_dense, lambda node: _sizes(node, "channels")),
    "winograd_conv2d": _of_planes(winograd.conv2d, "winograd_conv2d"),
    "activation_scale": _kernel(int8.activation_scale, lambda _node: []),
    "quantize": _quantize,
    "int8_conv2d": _kernel(int8.conv2d, _conv2d_on_rows),
    "int8_dense": _kernel(int8.dense, lambda node: _sizes(node, "channels")),
    "round_bf16": _round_bf16,
    "bf16_conv2d": _kernel(bf16.conv2d, _conv2d_on_rows),
    "bf16_dense": _kernel(bf16.dense, lambda node: _sizes(node, "channels")),
}
for _name, _rule in _RULES.items():
    tvm.ir.register_op_attr(f"relax.bnn.{_name}", "FLegalize", _rule)


def _resize(builder: relax.BlockBuilder, node: relax.Call) -> relax.Expr:
    """Interpolate images as PyTorch does; what is no bilinear interpolation is TVM's."""
    x, size = node.args
    attrs = node.attrs
    mode, layout = (str(attrs.coordinate_transformation_mode), str(attrs.method), dtype_of(x)), str(attrs.layout)
    if mode != ("half_pixel", "linear", "float32") or layout not in LAYOUTS:
        return _TVM_RESIZE(builder, node)
    height, width = (int(extent) for extent in size.values)
    return builder.call_te(lambda image: resize_linear(image, (height, width), layout), x, primfunc_name_hint="resize")


_TVM_RESIZE = tvm.ir.Op.get("relax.image.resize2d").get_attr("FLegalize")


def lower(module: tvm.IRModule) -> tvm.IRModule:
    """Lower a packed module to unscheduled TIR."""
    passes = [
        relax.transform.LegalizeOps({"relax.image.resize2d": _resize}),
        relax.transform.FuseTIR(),
        relax.transform.RewriteDataflowReshape(),
        relax.transform.DeadCodeElimination(),
    ]
    return tvm.ir.transform.Sequential(passes)(module)
