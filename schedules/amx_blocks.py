"""How a layer is cut for tiles: what is computed between two epilogues, and what one tile holds of it."""

from __future__ import annotations

import dataclasses

from schedules.amx import LANES, ROWS
from schedules.tile import divisors

#: Output positions of a block, at most: with two tiles of channels their counts take 14 kB, and stay next to the core.
_MOST_PIXELS = 112
#: Tiles of pixels and of channels that are multiplied together: four sums, two tiles of each operand, eight registers.
TALL, BROAD = 2, 2


@dataclasses.dataclass(frozen=True)
class Blocks:
    """What one block computes.

    Parameters
    ----------
    rows, pixels
        Of the output; several rows only if they are whole.
    height
        Pixels that one tile holds; the last tile of a row may repeat some of the one before.
    columns
        Tiles of a row.
    vectors
        Tiles of output channels.
    """

    rows: int
    pixels: int
    height: int
    columns: int
    vectors: int

    @property
    def tiles(self) -> int:
        """Tiles of pixels in a block."""
        return self.rows * self.columns

    @property
    def channels(self) -> int:
        """Output channels of a block."""
        return self.vectors * LANES


def blocks_of(rows: int, pixels: int, channel_blocks: int) -> Blocks:
    """Return the blocks of a layer.

    Parameters
    ----------
    rows, pixels
        Extents of the last two spatial axes of its output; ``rows`` is 1 where there is only one.
    channel_blocks
        ``LANES`` output channels each.
    """
    vectors = BROAD if channel_blocks % BROAD == 0 else 1
    if pixels > _MOST_PIXELS:
        # A prime number of pixels has no better divisor than itself: then the counts are a larger buffer.
        chunk = max(divisor for divisor in divisors(pixels) if divisor <= _MOST_PIXELS)
        chunk = chunk if chunk >= ROWS else pixels
        return _block(1, chunk, vectors)
    candidates = [_block(count, pixels, vectors) for count in divisors(rows) if count * pixels <= _MOST_PIXELS]
    return min(candidates, key=lambda block: (-(-block.tiles // TALL) / block.rows, -block.rows))


def _block(rows: int, pixels: int, vectors: int) -> Blocks:
    columns = -(-pixels // ROWS)
    return Blocks(rows, pixels, -(-pixels // columns), columns, vectors)
