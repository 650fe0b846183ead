"""AMX: registers that hold tiles of bytes, and an instruction that multiplies two of them; how signs lie in tiles.

``tdpbusd`` multiplies 16 rows of 64 unsigned bytes by 64 rows of 16 signed ones and adds the products to 16 x 16
integers of 32 bits. With bits ``a`` and ``w`` of an activation and a weight, ``a xor w`` is ``w + a * (1 - 2 * w)``, so

    popcount(a xor w) = popcount(w) + sum of a * (1 - 2 * w):

activations become bytes 0 and 1, weights become +1 (bit 0) and -1 (bit 1), and sums start at the popcount of the
weights. What comes out is the very number that the popcount kernel counts, so that border tables, limits and epilogues
are the same. Depths and channels that fill no tile count nothing: their bits are 0 in both operands.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: What reports call the instruction set of a kernel that uses tiles.
NAME = "amx-int8"
#: A tile has so many rows of so many bytes, which are the depth of one multiplication.
ROWS, DEPTH = 16, 64
#: Output channels of one tile of weights; each row of it holds four bytes of their depth in turn.
LANES, GROUP = 16, 4


def tiled_weights(
    words: npt.NDArray[np.unsignedinteger[Any]],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """Lay the weights of a popcount kernel out for tiles, as bits still.

    Parameters
    ----------
    words
        ``(blocks, ..., depth words, LANES)`` unsigned.

    Returns
    -------
    The bits, ``(blocks, ..., ceil(depth / DEPTH), ROWS)`` uint64: bit ``GROUP * l + q`` of row ``r`` is that of output
    channel ``l`` at depth ``GROUP * r + q`` of the tile; and how many are set for each output channel,
    ``(blocks * LANES,)`` int32.
    """
    by_channel = np.ascontiguousarray(np.moveaxis(words, -1, -2))
    bits = np.unpackbits(by_channel.view(np.uint8), axis=-1, bitorder="little")
    ones = bits.reshape(len(words), -1, LANES, bits.shape[-1]).sum(axis=(1, 3), dtype=np.int32)
    filled = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, -bits.shape[-1] % DEPTH)])
    # (..., lanes, tiles, rows, group) to (..., tiles, rows, lanes, group).
    tiles = np.moveaxis(filled.reshape(*filled.shape[:-1], -1, ROWS, GROUP), -4, -2)
    masks = np.packbits(np.ascontiguousarray(tiles).reshape(*tiles.shape[:-2], -1), axis=-1, bitorder="little")
    return masks.view("<u8")[..., 0], ones.reshape(-1)
