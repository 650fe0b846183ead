"""Convolution and linear layer on bfloat16, for layers that stay float: both operands are rounded, sums are float32.

A bfloat16 number is the upper half of a float32 one. It is kept as the unsigned 16-bit number of its bits: TVM's own
type of that name is taken apart before code is generated, and with it what the instructions read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import te, tirx
from tvm.ir import Expr as Index

from schedules.kernels.narrow import runs
from schedules.kernels.window import Window

#: The name of the block that schedules tile.
ANCHOR = "multiply_accumulate_bf16"
_HALF = 16


def bf16_bits(values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Return finite float32 values rounded to the nearest bfloat16, ties to even, as the bits of each."""
    whole = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((whole + 0x7FFF + ((whole >> _HALF) & 1)) >> _HALF).astype(np.uint16)


def bf16_values(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Return the numbers that :func:`bf16_bits` stand for, float32."""
    return (bits.astype(np.uint32) << _HALF).view(np.float32)


def round_rows(shape: tuple[int, int, int], rows: tuple[int, int], start: int, length: int) -> tirx.PrimFunc:
    """Return the function ``(x, q)`` that rounds ``x`` to bfloat16, ties to even, amid zeros.

    The parameters are those of :func:`schedules.kernels.narrow.runs.narrow_rows`. What is no number stays none.
    """

    def rounded(value: Index, _inverse: None, extent: int) -> Index:
        def constant(number: int) -> Index:
            return runs.splat(tirx.const(number, "uint32"), extent)

        whole = tirx.reinterpret(runs.vector_of("uint32", extent), value)
        nearest = (whole + constant(0x7FFF) + ((whole >> constant(_HALF)) & constant(1))) >> constant(_HALF)
        # Rounding would carry out of the mantissa of some that are no numbers, and make an infinity or a zero of them.
        is_none = (whole & constant(0x7FFFFFFF)) > constant(0x7F800000)
        quiet = (whole >> constant(_HALF)) | constant(0x40)
        return tirx.Cast(runs.vector_of("uint16", extent), tirx.Select(is_none, quiet, nearest))

    return runs.narrow_rows(runs.Narrowing("round_bf16", "uint16", 0, False, rounded), shape, rows, start, length)


def conv2d(q: te.Tensor, weights: te.Tensor, window: Window, size: tuple[int, int, int], channels: int) -> te.Tensor:
    """Convolution of bfloat16, float32; see :func:`schedules.kernels.narrow.runs.conv2d`."""
    return runs.conv2d(q, weights, window, size, channels, _product, ANCHOR)


def dense(q: te.Tensor, weights: te.Tensor, channels: int) -> te.Tensor:
    """Linear layer on bfloat16, float32; see :func:`schedules.kernels.narrow.runs.dense`."""
    return runs.dense(q, weights, channels, _product, ANCHOR)


def _product(read: Index, weight: Index) -> Index:
    return _value(read) * _value(weight)


def _value(bits: Index) -> Index:
    return tirx.reinterpret("float32", bits.astype("uint32") << tirx.const(_HALF, "uint32"))
