"""Float convolution and linear layer with the binary kernels' data layout, for the layers that stay float."""

from __future__ import annotations

from tvm import te
from tvm.ir import Expr as Index

from schedules.convolution import accumulate, accumulate_rows, first_channels
from schedules.window import Window

#: The name of the block that schedules tile.
ANCHOR = "multiply_accumulate"


def _product(a: Index, w: Index) -> Index:
    return a * w


def _same(*index_and_value: Index) -> Index:
    return index_and_value[-1]


def conv2d(x: te.Tensor, weights: te.Tensor, window: Window, channels: int) -> te.Tensor:
    """Convolution ``(N, H, W, C)`` x ``(blocks, kernel height, kernel width, C, lanes)`` to ``(N, OH, OW, channels)``.

    ``channels`` is at most ``blocks * lanes``; both operands are float32.
    """
    total = accumulate(x, weights, window, 1, ANCHOR, _product)
    return total if int(total.shape[-1]) == channels else first_channels(total, channels, "crop", _same)


def dense(x: te.Tensor, weights: te.Tensor, channels: int) -> te.Tensor:
    """Linear layer ``(..., K)`` x ``(blocks, K, lanes)`` to ``(..., channels)``; both operands are float32."""
    total = accumulate_rows(x, weights, ANCHOR, _product)
    return total if int(total.shape[-1]) == channels else first_channels(total, channels, "crop", _same)
