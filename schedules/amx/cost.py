"""What a binary layer takes by popcount and by AMX: each goes to the cheaper.

A model, not a measurement: nanoseconds from what was measured of one processor with both (a Xeon with AMX and AVX-512
VPOPCNTDQ, one core; GMAC/s are products a nanosecond, GB/s bytes a nanosecond). What it has to get right is the sign of
a difference: direct convolutions in tiles, measured there, ran at 1.5 times the popcount peak at 56 x 56 x 64 and
28 x 28 x 128, at 1.3 times at 14 x 14 x 256, and slower at 7 x 7 x 512.
"""

from __future__ import annotations

import math

from schedules.amx.blocks import TALL, Layer
from schedules.amx.tiles import DEPTH, LANES, ROWS

#: Products a nanosecond: popcount at what its kernels reach of the peak of 1,214, and tiles whose operands come from
#: the first- or the second-level cache.
_POPCOUNT, _NEAR, _FAR = 1150.0, 2519.0, 1888.0
#: Bytes a nanosecond: made of bits, read and written in the first-level cache, read from the third.
_UNPACKED, _CACHED, _DISTANT = 238.0, 276.0, 30.0
_NEAR_BYTES, _FAR_BYTES = 48 << 10, 2 << 20
#: Of one block: telling the processor how large tiles are, and taking that back.
_CONFIGURING = 15.0
#: An instruction multiplies in 16 cycles, whether or not all rows of its tile are used.
_PRODUCTS = ROWS * DEPTH * LANES
_WORD_BITS = 32
_BYTES_OF_A_COUNT = 4
#: What a model is off by: below that, a layer stays with the kernel that has been measured.
_MARGIN = 1.1


def popcount_ns(layer: Layer) -> float:
    """Return what the popcount kernel takes."""
    terms = math.prod(layer.kernel) * layer.words[-1] * _WORD_BITS
    return math.prod(layer.spatial) * layer.blocks * LANES * terms / _POPCOUNT


def tiles_ns(layer: Layer) -> float:
    """Return what tiles take: their products, unpacking both operands, and the counts' way through memory."""
    cut, taps = layer.cut, math.prod(layer.kernel)
    positions = math.prod(layer.spatial)
    blocks = positions // (cut.rows * cut.pixels) * (layer.blocks // cut.vectors)
    weights = cut.vectors * taps * layer.steps * ROWS * DEPTH
    pixel = layer.steps * DEPTH
    inputs = math.prod(layer.padded) * pixel
    window = TALL * cut.height * layer.kernel[0] * pixel
    counts = positions * layer.blocks * LANES * _BYTES_OF_A_COUNT
    rate = _NEAR if weights + window <= _NEAR_BYTES else _FAR
    multiplying = blocks * cut.tiles * cut.vectors * taps * layer.steps * _PRODUCTS / rate
    unpacking = (layer.blocks // cut.vectors * weights + inputs) / _UNPACKED
    # An input that leaves the second-level cache comes back for every tile of channels.
    again = inputs * (layer.blocks // cut.vectors) / _DISTANT if inputs + weights > _FAR_BYTES else 0.0
    return multiplying + unpacking + again + 2 * counts / _CACHED + blocks * _CONFIGURING


def is_cheaper(layer: Layer) -> bool:
    """Tell whether a layer goes to AMX: where it takes a tenth less time, or better."""
    return tiles_ns(layer) * _MARGIN < popcount_ns(layer)
