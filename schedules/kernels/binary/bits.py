"""How signs become bits: channels along the last axis, least significant bit first, bit 1 stands for +1.

Words are little-endian, so the same bytes read as 8-, 16-, 32- or 64-bit words hold the same signs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.unsignedinteger]


def words_for(channels: int, word_bits: int) -> int:
    """Return how many words hold ``channels`` bits."""
    return -(-channels // word_bits)


def pack_bools(bits: npt.NDArray[np.bool_], word_bits: int, groups: int = 1) -> Words:
    """Pack the last axis of a Boolean array into words; each group of channels starts a new word.

    Parameters
    ----------
    bits
        ``(..., channels)``; True becomes bit 1.
    word_bits
        8, 16, 32 or 64.
    groups
        Must divide ``channels``.

    Returns
    -------
    ``(..., groups * ceil(channels / groups / word_bits))`` unsigned words; unused bits are 0.

    Raises
    ------
    ValueError
        If ``groups`` does not divide the channels.
    """
    *outer, channels = bits.shape
    if channels % groups:
        raise ValueError(f"{channels} channels do not divide into {groups} groups")
    depth = channels // groups
    padding = words_for(depth, word_bits) * word_bits - depth
    grouped = np.pad(bits.reshape(*outer, groups, depth), [(0, 0)] * (len(outer) + 1) + [(0, padding)])
    packed = np.packbits(grouped, axis=-1, bitorder="little").view(f"<u{word_bits // 8}")
    return packed.reshape(*outer, -1)


def pack(signs: npt.NDArray[Any], word_bits: int, groups: int = 1) -> Words:
    """Pack the last axis of a sign tensor, as :func:`pack_bools` does.

    Raises
    ------
    ValueError
        If a value is neither +1 nor -1.
    """
    if not np.isin(signs, (-1, 1)).all():
        raise ValueError("a sign tensor holds +1 and -1 only")
    return pack_bools(signs > 0, word_bits, groups)


def unpack(words: Words, channels: int, groups: int = 1) -> npt.NDArray[np.int8]:
    """Return the sign tensor ``(..., channels)`` int8 that :func:`pack` made ``words`` from."""
    *outer, count = words.shape
    as_bytes = np.ascontiguousarray(words.reshape(*outer, groups, count // groups)).view(np.uint8)
    bits = np.unpackbits(as_bytes, axis=-1, bitorder="little")[..., : channels // groups]
    return (bits.astype(np.int8) * 2 - 1).reshape(*outer, channels)
