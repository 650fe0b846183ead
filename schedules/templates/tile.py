"""The register tile of a kernel with an anchor, and which one a layer gets without a tuning log."""

from __future__ import annotations

import dataclasses

from schedules.machines.isa import Isa


@dataclasses.dataclass(frozen=True)
class Tile:
    """How much one pass over the reduction computes.

    Parameters
    ----------
    pixels
        Output positions along the last spatial axis.
    vectors
        Vectors of output channels; ``pixels * vectors`` accumulators live in registers.
    lanes
        Output channels a vector.
    groups
        Tiles of channels between two packings, where one word needs several; None if packing has to wait for the
        whole layer.
    depth
        Steps of the reduction's innermost loop whose inputs are loaded as one vector a pixel and broadcast from its
        lanes; 1 if each is broadcast from memory.
    unroll
        So many times ``depth`` steps follow each other without a branch; where that is more than the loop has, the
        columns of the window are unrolled as well, and all of them.
    rows
        Rows of the output that all tiles of channels are computed for before the next rows: their input stays in the
        cache nearest to the core, and the weights are read again. None for all rows: a tile of weights stays there
        instead, and the input is read again.
    shared
        How many of the loops around the tiles of pixels, outermost first, threads share; None for all.
    """

    pixels: int
    vectors: int
    lanes: int
    groups: int | None = 1
    depth: int = 1
    unroll: int = 1
    rows: int | None = None
    shared: int | None = None


def divisors(number: int) -> list[int]:
    """Return the divisors of a positive number, ascending."""
    return [candidate for candidate in range(1, number + 1) if number % candidate == 0]


def choose_tile(
    pixels: int, channels: int, steps: int, lanes: int, isa: Isa, span: int | None, outputs: int = 1
) -> Tile:
    """Return the tile that keeps the arithmetic units busiest without a tuning log.

    A step of the reduction loads ``vectors`` weights and broadcasts ``pixels`` inputs for ``pixels * vectors``
    products: the choice has the most products a load, among the tiles that fit the registers and divide the layer.

    Parameters
    ----------
    pixels, channels
        Extents of the layer's last spatial axis and of its (padded) output channels.
    steps
        Of the reduction. After a few, a large tile spends longer on its start and its end than it gains.
    lanes
        Output channels a vector.
    isa
        Gives the registers.
    span
        Channels that one packed word holds; None if the layer packs nothing, or not in vectors.
    outputs
        Neighbouring outputs that a pixel stands for.
    """
    blocks = channels // lanes
    room = isa.accumulators if steps > _FEW_STEPS else min(isa.accumulators, _FEW_ACCUMULATORS)
    candidates = [
        (p, v)
        for p in (outputs * pixel for pixel in divisors(pixels))
        for v in divisors(blocks)
        if p * v <= room and v <= MOST_VECTORS and p * v + v + TEMPORARIES <= isa.registers
    ]
    best = max(candidates, key=lambda tile: (tile[0] * tile[1] / (tile[0] + tile[1]), tile[0]))
    return Tile(best[0] // outputs, best[1], lanes, groups_of(blocks, best[1], lanes, span))


def choose_single_tile(channels: int, lanes: int, isa: Isa, span: int | None) -> Tile:
    """Return the tile of one output position whose terms are multiplied, such as a linear layer of batch 1.

    Each weight is used once, so none waits in a register; what counts is that a sum waits for the one before it. The
    accumulators have to be as many as there are multiply-adds in flight, and need not be more than the weights that a
    cache delivers meanwhile.

    Parameters
    ----------
    channels, lanes, isa, span
        As for :func:`choose_tile`.
    """
    blocks = channels // lanes
    most = min(_SUMS_IN_FLIGHT, _BYTES_IN_FLIGHT // (lanes * _BYTES_OF_A_SUM), isa.registers - TEMPORARIES)
    vectors = max(v for v in divisors(blocks) if v <= most)
    return Tile(1, vectors, lanes, groups_of(blocks, vectors, lanes, span))


#: Four cycles of latency on two ports.
_SUMS_IN_FLIGHT = 8
#: The same four cycles, of the 64 bytes a cycle that a second-level cache delivers at most. On AVX-512 seven vectors
#: are no faster than three, and slower where a layer is wide: as many streams share the same sets of the cache.
_BYTES_IN_FLIGHT = 256
_BYTES_OF_A_SUM = 4


def groups_of(blocks: int, vectors: int, lanes: int, span: int | None) -> int | None:
    """Return how many tiles of channels fill whole words; None if none do, or nothing is packed."""
    groups = (g for g in divisors(blocks // vectors) if span is not None and g * vectors * lanes % span == 0)
    return next(groups, None)


def depth_of_loads(depth: int, lanes: int) -> int:
    """Return how many steps of a loop over the depth are loaded at once: at most a vector's lanes, if enough divide it.

    Seven of 13 steps' lanes are worth more than the loop: what none divides well is loaded whole, up to two vectors.
    """
    most = max(divisor for divisor in divisors(depth) if divisor <= lanes)
    return depth if most < lanes // 2 and depth <= 2 * lanes else most


#: More weight vectors than this in flight spill: the tile wants its registers for accumulators.
MOST_VECTORS = 4
#: An activation and a product.
TEMPORARIES = 2
_FEW_STEPS, _FEW_ACCUMULATORS = 8, 8
