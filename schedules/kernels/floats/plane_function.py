"""What convolutions that read images as planes have in common: their operands and result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from schedules.kernels.binary.bitpack import wide
from schedules.kernels.window import Window

#: Builds what is between the operands and the result, given those as buffers.
Body: TypeAlias = Callable[[tirx.Buffer, tirx.Buffer, tirx.Buffer], None]


def plane_function(
    name: str,
    shape: tuple[int, int, int, int],
    weights_shape: tuple[int, ...],
    window: Window,
    channels: int,
    body: Body,
) -> tirx.PrimFunc:
    """Return a function ``(x, weights, y)`` that convolves images whose channels are planes.

    Parameters
    ----------
    name
        Of the function.
    shape
        Of ``x``, float32: ``(N, C, H, W)``.
    weights_shape
        As the convolution lays them out; float32.
    window
        The convolution's geometry.
    channels
        Of ``y``, ``(N, OH, OW, channels)`` float32; the first so many that the weights have.
    body
        Called while the function is built.
    """
    count, _, height, width = shape
    vertical, horizontal = window.axes(height, width)
    with IRBuilder() as builder, T.prim_func(is_private=True, s_tir=True):
        T.func_name(name)
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(wide(shape), "float32"))
        w = T.arg("w", T.buffer(wide(weights_shape), "float32"))
        y = T.arg("y", T.buffer(wide((count, vertical.out, horizontal.out, channels)), "float32"))
        body(x, w, y)
    return builder.get()
