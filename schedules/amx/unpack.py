"""Bits become bytes, for tiles: 0 and 1 of the activations, amid the padding, and +1 and -1 of the weights.

A mask register takes 64 bits from memory as they are, and one instruction makes 64 bytes of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm import tirx
from tvm.ir import Expr as Index
from tvm.tirx.script.builder import ir as T

from schedules.amx.blocks import WORDS, Layer
from schedules.amx.tiles import DEPTH
from schedules.kernels.binary.bitpack import wide

#: The names of the blocks that unpack.
INPUT, WEIGHTS = "unpack_input", "unpack_weights"
#: A row of a tile of weights.
SIGNS = f"int8x{DEPTH}"


def remap(loops: Sequence[Index]) -> list[Index]:
    """Return the axes of a block that runs once for each point of a grid."""
    return list(T.axis.remap("S" * len(loops), list(loops)))


def unpack_input(layer: Layer, words: tirx.Buffer, pixels: tirx.Buffer) -> None:
    """Write a byte for every bit, 0 or 1, and zeros for the padding, a row of pixels at a time."""
    *outer, width = layer.padded
    # Two axes at least, or the grid would be no list of them.
    with T.grid(*wide((*outer, 1, 1))) as loops, T.sblock(INPUT):
        *at, _, _ = remap(loops)
        everything = [slice(0, extent) for extent in layer.words[len(at[:-1]) :]]
        T.reads(words[(*at[:-1], *everything)])
        T.writes(pixels[(*at, slice(0, width), slice(0, layer.steps * DEPTH))])
        if layer.window is None:
            _unpack_row(layer, words, pixels, at, at, 0)
            return
        height, inner = layer.words[1:3]
        top, left, _, _ = layer.window.padding
        *samples, i = at
        with T.If(tirx.all(i >= top, i < height + top)):
            with T.Then():
                _fill(pixels, at, range(left), layer.steps)
                _unpack_row(layer, words, pixels, at, [*samples, i - top], left)
                _fill(pixels, at, range(left + inner, width), layer.steps)
            with T.Else():
                _fill(pixels, at, range(width), layer.steps)


def _unpack_row(
    layer: Layer, words: tirx.Buffer, pixels: tirx.Buffer, at: Sequence[Index], source: Sequence[Index], left: int
) -> None:
    """Unpack the pixels of a row, as far as they are words; a last word without a second counts for two."""
    count = layer.words[-1]
    whole = count // WORDS
    with T.serial(0, layer.words[-2]) as j:
        if whole:
            with T.serial(0, whole) as step:
                pair = words[(*source, j, T.ramp(step * WORDS, 1, WORDS))]
                _bits_to_bytes(pixels, T.reinterpret("uint64", pair), [*at, j + left, _bytes(step)])
        if whole < layer.steps:
            last = words[(*source, j, count - 1)].astype("uint64")
            _bits_to_bytes(pixels, last, [*at, j + left, _bytes(whole)])


def _fill(pixels: tirx.Buffer, at: Sequence[Index], positions: range, steps: int) -> None:
    """Write zeros to some pixels of a row."""
    if positions:
        with T.serial(positions.start, positions.stop) as j, T.serial(0, steps) as step:
            T.buffer_store(pixels, T.broadcast(tirx.const(0, "uint8"), DEPTH), [*at, j, _bytes(step)])


def unpack_weights(tiles: tuple[int, ...], weights: tirx.Buffer, signs: tirx.Buffer) -> None:
    """Write -1 for every bit that is set and +1 for every other, a row of a tile at a time."""
    with T.grid(*wide(tiles)) as loops, T.sblock(WEIGHTS):
        at = remap(loops)
        T.reads(weights[tuple(at)])
        T.writes(signs[tuple(at)])
        is_set = T.Cast(SIGNS, T.reinterpret(f"uint1x{DEPTH}", weights[tuple(at)]))
        one, two = (T.broadcast(tirx.const(value, "int8"), DEPTH) for value in (1, 2))
        T.buffer_store(signs, one - is_set * two, at)


def _bytes(step: Index | int) -> Index:
    return T.ramp(step * DEPTH, 1, DEPTH)


def _bits_to_bytes(pixels: tirx.Buffer, bits: Index, at: Sequence[Index]) -> None:
    T.buffer_store(pixels, T.Cast(f"uint8x{DEPTH}", T.reinterpret(f"uint1x{DEPTH}", bits)), list(at))
