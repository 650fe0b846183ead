"""Float convolution and linear layer with the binary kernels' data layout, for the layers that stay float."""

from __future__ import annotations

from tvm import te, tirx
from tvm.ir import Expr as Index

from schedules.kernels.convolution import accumulate, accumulate_rows, first_channels
from schedules.kernels.window import Window

#: The name of the block that schedules tile.
ANCHOR = "multiply_accumulate"
#: The name of the block that turns stored bits into weights, a tile of channels at a time.
UNPACK = "unpack"


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


def two_valued_conv2d(x: te.Tensor, bits: te.Tensor, values: te.Tensor, window: Window, channels: int) -> te.Tensor:
    """Return :func:`conv2d` with weights that :func:`two_valued` unpacks."""
    return conv2d(x, two_valued(bits, values), window, channels)


def two_valued_dense(x: te.Tensor, bits: te.Tensor, values: te.Tensor, channels: int) -> te.Tensor:
    """Return :func:`dense` with weights that :func:`two_valued` unpacks."""
    return dense(x, two_valued(bits, values), channels)


def two_valued(bits: te.Tensor, values: te.Tensor) -> te.Tensor:
    """Return float weights, blocked, of two values per output channel.

    Parameters
    ----------
    bits
        ``(blocks, ..., depth)`` unsigned; bit ``l`` belongs to lane ``l``.
    values
        ``(2, blocks * lanes)`` float32: what bit 0 and bit 1 stand for.

    Returns
    -------
    ``(blocks, ..., depth, lanes)`` float32.
    """
    blocks = int(bits.shape[0])
    lanes = int(values.shape[1]) // blocks

    def weight(*index: Index) -> Index:
        block, lane = index[0], index[-1]
        channel = block * lanes + lane
        is_set = (bits[index[:-1]] >> lane.astype(bits.dtype)) & tirx.const(1, bits.dtype)
        return tirx.Select(is_set != 0, values[1, channel], values[0, channel])

    return te.compute((*bits.shape, lanes), weight, name=UNPACK)
