"""A layer as tiles see it, and how it is cut: what is computed between two epilogues, what one tile holds of it."""

from __future__ import annotations

import dataclasses

from schedules.amx.tiles import LANES, ROWS
from schedules.kernels.window import Window
from schedules.templates.tile import divisors

#: Output positions of a block, at most: with two tiles of channels their counts take 14 kB, and stay next to the core.
_MOST_PIXELS = 112
#: Tiles of pixels and of channels that are multiplied together: four sums, two tiles of each operand, eight registers.
TALL, BROAD = 2, 2
#: Words of the input that a tile's depth takes.
WORDS = 2
#: What a linear layer slides.
ONCE = Window((1, 1))


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


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer whose mismatches are counted.

    Parameters
    ----------
    words
        Shape of the input, ``(N, H, W, depth words)`` of a convolution, ``(..., depth words)`` of a linear layer; words
        have 32 bits.
    blocks
        ``LANES`` output channels each.
    window
        None for a linear layer.
    """

    words: tuple[int, ...]
    blocks: int
    window: Window | None

    @property
    def steps(self) -> int:
        """Multiplications along the depth."""
        return -(-self.words[-1] // WORDS)

    @property
    def kernel(self) -> tuple[int, int]:
        """Extents of the window."""
        return ONCE.kernel if self.window is None else self.window.kernel

    @property
    def spatial(self) -> tuple[int, ...]:
        """The result's axes but for the channels."""
        if self.window is None:
            return self.words[:-1]
        vertical, horizontal = self.window.axes(*self.words[1:3])
        return self.words[0], vertical.out, horizontal.out

    @property
    def padded(self) -> tuple[int, ...]:
        """The unpacked input's axes but for the bytes of a pixel."""
        if self.window is None:
            return self.words[:-1]
        count, height, width, _ = self.words
        top, left, bottom, right = self.window.padding
        return count, height + top + bottom, width + left + right

    @property
    def cut(self) -> Blocks:
        """How it is cut into blocks."""
        *rows, pixels = self.spatial
        return blocks_of(rows[-1] if rows else 1, pixels, self.blocks)
