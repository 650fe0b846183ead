"""The default register tile of binary layers on 64-bit NEON, where a broadcast is an instruction of its own.

A product of ``pixels x vectors`` accumulators takes ``eor``, ``cnt`` and ``uadalp``, a step also a broadcast for each
pixel (``dup``) and a load for each vector. A broadcast waits for the pipes that the products need. A load has one of
its own where two vector instructions start in a cycle (Cortex-A72, A76), and takes an issue slot where it is one
(A53). So vectors are worth more than pixels, as long as the weights of a tile stay next to the core.
"""

from __future__ import annotations

from schedules.machines.isa import Isa
from schedules.templates.tile import MOST_VECTORS, TEMPORARIES, divisors

#: What a load of weights costs, in vector instructions: between nothing (A72) and one (A53).
_A_LOAD = 0.5
#: Of 32 kB, which the first-level cache of the smaller cores has: the rest is for the input and the results.
_BYTES_OF_WEIGHTS = 24 << 10
#: After so few, the end of a tile weighs more than its loads. It reads its operands for each vector of a tile, so that
#: pixels are worth as much as vectors there.
_FEW_STEPS, _FEW_ACCUMULATORS, _A_LOAD_OF_FEW = 8, 8, 1.0
#: Steps that follow each other without a branch, at most: 1.8 kB of code in tiles of 4x4. More, as many loads as they
#: bring, would spill; where columns share inputs (stride 1), there are fewer.
_STEPS_AT_ONCE, _STEPS_OF_SHARED = 8, 12


def neon_tile(pixels: int, blocks: int, steps: int, lanes: int, isa: Isa, outputs: int = 1) -> tuple[int, int]:
    """Return the pixels and vectors of the tile with the least broadcasts and loads a product.

    Parameters
    ----------
    pixels
        Extent of the layer's last spatial axis.
    blocks
        Vectors of output channels that read the same inputs.
    steps
        Words that each accumulator counts.
    lanes
        Output channels a vector.
    isa
        Gives the registers and the bytes of a word.
    outputs
        Neighbouring outputs that a pixel stands for.
    """
    room, load = isa.accumulators, _A_LOAD
    if steps <= _FEW_STEPS:
        room, load = min(room, _FEW_ACCUMULATORS), _A_LOAD_OF_FEW
    candidates = [
        (p, v)
        for p in (outputs * pixel for pixel in divisors(pixels))
        for v in divisors(blocks)
        if p * v <= room and p * v + v + TEMPORARIES <= isa.registers
        if v <= MOST_VECTORS or steps * v * lanes * isa.word_bits // 8 <= _BYTES_OF_WEIGHTS
    ]
    columns, vectors = min(candidates, key=lambda tile: (1 / tile[1] + load / tile[0], -tile[0]))
    return columns // outputs, vectors


def columns_at_once(depth: int, columns: int, shared: bool) -> int:
    """Return how many columns of a window are unrolled: all, or one where a column is steps enough.

    Parameters
    ----------
    depth, columns
        Words under a column, and columns.
    shared
        Whether a column of one pixel is the next column of the pixel before it.
    """
    return columns if depth * columns <= (_STEPS_OF_SHARED if shared else _STEPS_AT_ONCE) else 1
