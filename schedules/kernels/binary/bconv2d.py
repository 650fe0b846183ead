"""Binary convolution and binary linear layer: packed words in, integer dot products out.

With bits ``a`` and ``w`` standing for signs, a product of signs is +1 where the bits agree, so over ``K`` signs

    dot = K - 2 * popcount(a xor w).

The bits past the last channel of a word are 0 in both operands and add nothing to the count.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tvm import te, tirx
from tvm.ir import Expr as Index

from schedules.kernels.convolution import accumulate, accumulate_rows, border_class, first_channels
from schedules.kernels.window import Window

#: The name of the block that schedules tile.
ANCHOR = "popcount"
#: The same of a product of activations, whose second operand is no weight that was laid out in advance.
PRODUCT = "product_popcount"
ANCHORS = (ANCHOR, PRODUCT)
#: The block that lays that operand out.
BLOCK_ROWS = "block_rows"
_HALF_WORD = 16


def is_wide(word_bits: int, words: int) -> bool:
    """Tell whether the mismatches of so many words overflow an accumulator as wide as a word."""
    return words * word_bits >= 1 << word_bits


def count_dtype(word_bits: int, words: int) -> str:
    """Return the dtype of the mismatches of so many words.

    Wider than 16 bits they are signed, which vectors compare at least as well and which no count comes near.
    """
    if is_wide(word_bits, words):
        return "int32"
    return f"int{word_bits}" if word_bits > _HALF_WORD else f"uint{word_bits}"


def count_mismatches(word_bits: int, words: int) -> Callable[[Index, Index], Index]:
    """Return the popcount of one word, in a dtype that ``words`` of them cannot overflow."""
    if is_wide(word_bits, words):
        return lambda a, w: tirx.popcount(a ^ w).astype("uint32")
    return lambda a, w: tirx.popcount(a ^ w)


def bconv2d(
    words: te.Tensor, weights: te.Tensor, border: te.Tensor, window: Window, channels: int, groups: int = 1
) -> te.Tensor:
    """Binary convolution with zero padding.

    Parameters
    ----------
    words
        ``(N, H, W, groups * depth words)`` unsigned.
    weights
        ``(blocks, kernel height, kernel width, depth words, lanes)`` unsigned.
    border
        ``(row classes, column classes, blocks * lanes)`` int32 of :func:`schedules.kernels.binary.border.border_table`.
    window, groups
        Geometry.
    channels
        Output channels, at most ``blocks * lanes``.

    Returns
    -------
    ``(N, OH, OW, channels)`` int32.
    """
    size = (int(words.shape[1]), int(words.shape[2]))
    return convolved_dots(_convolved_counts(words, weights, window, groups), border, window, size, channels)


def convolved_dots(
    count: te.Tensor, border: te.Tensor, window: Window, size: tuple[int, int], channels: int
) -> te.Tensor:
    """Turn the mismatches of a convolution of an input of that height and width into dot products, int32."""
    vertical, horizontal = window.axes(*size)

    def dot(_n: Index, i: Index, j: Index, o: Index, mismatched: Index) -> Index:
        total = border[border_class(vertical, i), border_class(horizontal, j), o]
        return total - mismatched.astype("int32") * 2

    return first_channels(count, channels, "dot", dot)


def bdense(words: te.Tensor, weights: te.Tensor, channels: int, depth: int) -> te.Tensor:
    """Binary linear layer.

    Parameters
    ----------
    words
        ``(..., depth words)`` unsigned.
    weights
        ``(blocks, depth words, lanes)`` unsigned.
    channels, depth
        Outputs, and inputs in signs.

    Returns
    -------
    ``(..., channels)`` int32.
    """
    return row_dots(_row_counts(words, weights), channels, depth)


def row_dots(count: te.Tensor, channels: Index | int, depth: int) -> te.Tensor:
    """Turn the mismatches of a linear layer into dot products, int32."""
    return first_channels(count, channels, "dot", lambda *index: depth - index[-1].astype("int32") * 2)


def count_conv2d(words: te.Tensor, weights: te.Tensor, window: Window, channels: int, groups: int = 1) -> te.Tensor:
    """Mismatches of :func:`bconv2d`, padding counting as zero words; ``(N, OH, OW, channels)`` of ``count_dtype``."""
    return _counts(_convolved_counts(words, weights, window, groups), weights, channels)


def count_dense(words: te.Tensor, weights: te.Tensor, channels: int) -> te.Tensor:
    """Mismatches of :func:`bdense`; ``(..., channels)`` of ``count_dtype``."""
    return _counts(_row_counts(words, weights), weights, channels)


def _convolved_counts(words: te.Tensor, weights: te.Tensor, window: Window, groups: int) -> te.Tensor:
    mismatches = count_mismatches(bits_of(words), _words(weights))
    return accumulate(words, weights, window, groups, ANCHOR, mismatches)


def _row_counts(words: te.Tensor, weights: te.Tensor) -> te.Tensor:
    return accumulate_rows(words, weights, ANCHOR, count_mismatches(bits_of(words), _words(weights)))


def _counts(count: te.Tensor, weights: te.Tensor, channels: int) -> te.Tensor:
    dtype = count_dtype(bits_of(weights), _words(weights))
    return first_channels(count, channels, "count", lambda *index: index[-1].astype(dtype))


def _words(weights: te.Tensor) -> int:
    """Return how many words a blocked weight has for each output channel."""
    return math.prod(int(extent) for extent in weights.shape[1:-1])


def bmatmul(a: te.Tensor, b: te.Tensor, depth: int, lanes: int) -> te.Tensor:
    """Product of two packed activations, as attention has it: ``a`` times the transpose of ``b``.

    Parameters
    ----------
    a, b
        ``(..., M, depth words)`` and ``(..., N, depth words)`` unsigned, with the same leading axes.
    depth
        Signs that are summed over.
    lanes
        Rows of ``b`` a vector.

    Returns
    -------
    ``(..., M, N)`` int32.
    """
    return row_dots(_product_counts(a, b, lanes, int(b.shape[-2])), b.shape[-2], depth)


def count_matmul(a: te.Tensor, b: te.Tensor, lanes: int, rows: int) -> te.Tensor:
    """Mismatches of :func:`bmatmul`; ``(..., M, rows)`` of ``count_dtype``.

    ``rows`` is N, or more where whole words are packed of the result: rows past the last of ``b`` repeat it.
    """
    dtype = count_dtype(bits_of(a), int(a.shape[-1]))
    counts = _product_counts(a, b, lanes, rows)
    return first_channels(counts, rows, "count", lambda *index: index[-1].astype(dtype))


def _product_counts(a: te.Tensor, b: te.Tensor, lanes: int, rows: int) -> te.Tensor:
    blocked = block_rows(b, lanes, rows)
    mismatches = count_mismatches(bits_of(a), int(a.shape[-1]))
    deep = te.reduce_axis((0, a.shape[-1]), "depth")

    def count(*index: Index) -> Index:
        *outer, m, n = index
        row = blocked[(*outer, tirx.floordiv(n, lanes), deep, tirx.floormod(n, lanes))]
        return te.sum(mismatches(a[(*outer, m, deep)], row), axis=[deep])

    return te.compute((*a.shape[:-1], int(blocked.shape[-3]) * lanes), count, name=PRODUCT)


def block_rows(words: te.Tensor, lanes: int, rows: int) -> te.Tensor:
    """Lay rows out as weights are: ``(..., N, depth words)`` to ``(..., ceil(rows / lanes), depth words, lanes)``.

    Lanes past the last row repeat it: nobody reads what they count.
    """
    *outer, there, depth = words.shape
    blocks = -(-rows // lanes)

    def lane_of_block(*index: Index) -> Index:
        *at, block, deep, lane = index
        row = block * lanes + lane
        return words[(*at, row if blocks * lanes == int(there) else tirx.min(row, int(there) - 1), deep)]

    return te.compute((*outer, blocks, depth, lanes), lane_of_block, name=BLOCK_ROWS)


def bits_of(words: te.Tensor) -> int:
    """Return the width of a packed tensor's words."""
    return int(str(words.dtype).removeprefix("uint"))
