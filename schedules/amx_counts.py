"""The mismatches of a binary layer, counted by AMX: the function that unpacks bits to bytes and multiplies tiles.

Three blocks, which schedules place: all activations become bytes, amid the padding; the weights of a block's channels
become bytes; and a block of output positions x channels is counted. Tiles take their rows from where pixels lie, at the
distance that the stride says, so a convolution needs no copy of its input for each tap, and whatever stride and dilation
it has makes no difference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tvm import tirx
from tvm.ir import Expr as Index
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from schedules import amx_instructions as amx
from schedules.amx import DEPTH, LANES, ROWS
from schedules.amx_blocks import TALL, Blocks, blocks_of
from schedules.bitpack import wide
from schedules.window import Window

#: The name of the block that counts.
ANCHOR = "popcount_in_tiles"
UNPACK_INPUT, UNPACK_WEIGHTS = "unpack_input", "unpack_weights"
#: Words of the input that a tile's depth takes.
_WORDS = 2
_SIGNS = f"int8x{DEPTH}"
_ONCE = Window((1, 1))
_IMAGE_AXES = 4


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
        return -(-self.words[-1] // _WORDS)

    @property
    def kernel(self) -> tuple[int, int]:
        """Extents of the window."""
        return _ONCE.kernel if self.window is None else self.window.kernel

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


def counts(layer: Layer) -> tirx.PrimFunc:
    """Return the function ``(words, weights, ones, count)`` that counts a layer's mismatches.

    Its tensors are the layer's input, uint32; the two that :func:`schedules.amx.tiled_weights` returns; and the counts,
    ``(..., blocks * LANES)`` int32.
    """
    tiles = (layer.blocks, *(layer.kernel if layer.window is not None else ()), layer.steps, ROWS)
    with IRBuilder() as builder, T.prim_func(is_private=True, s_tir=True):
        T.func_name("counts_in_tiles")
        T.func_attr({"tirx.noalias": True})
        words = T.arg("words", T.buffer(wide(layer.words), "uint32"))
        weights = T.arg("weights", T.buffer(wide(tiles), "uint64"))
        ones = T.arg("ones", T.buffer(wide((layer.blocks * LANES,)), "int32"))
        count = T.arg("count", T.buffer(wide((*layer.spatial, layer.blocks * LANES)), "int32"))
        pixels = T.sblock_alloc_buffer(wide((*layer.padded, layer.steps * DEPTH)), "uint8")
        # Whole rows for elements: what computes them elsewhere has to find each written at one index.
        signs = T.sblock_alloc_buffer(wide(tiles), _SIGNS)
        _unpack_input(layer, words, pixels)
        _unpack_weights(tiles, weights, signs)
        _count(layer, pixels, signs, ones, count)
    return builder.get()


def _unpack_input(layer: Layer, words: tirx.Buffer, pixels: tirx.Buffer) -> None:
    """Write a byte for every bit, 0 or 1, and zeros for the padding, a row of pixels at a time."""
    *outer, width = layer.padded
    top, left, _, _ = layer.window.padding if layer.window is not None else _ONCE.padding
    inner = layer.words[-2]

    def fill(at: Sequence[Index], begin: int, end: int) -> None:
        if end > begin:
            with T.serial(begin, end) as j, T.serial(0, layer.steps) as step:
                T.buffer_store(pixels, T.broadcast(tirx.const(0, "uint8"), DEPTH), [*at, j, _bytes(step)])

    def unpack(at: Sequence[Index], source: Sequence[Index]) -> None:
        whole = layer.words[-1] // _WORDS
        with T.serial(0, inner) as j:
            if whole:
                with T.serial(0, whole) as step:
                    pair = words[(*source, j, T.ramp(step * _WORDS, 1, _WORDS))]
                    _bits_to_bytes(pixels, T.reinterpret("uint64", pair), [*at, j + left, _bytes(step)])
            if whole < layer.steps:
                last = words[(*source, j, layer.words[-1] - 1)].astype("uint64")
                _bits_to_bytes(pixels, last, [*at, j + left, _bytes(whole)])

    every = slice(0, layer.words[-1])
    # Two axes at least, or the grid would be no list of them.
    with T.grid(*wide((*outer, 1, 1))) as loops, T.sblock(UNPACK_INPUT):
        *at, _, _ = _remap(loops)
        source = [*at[:-1], at[-1] - top] if layer.window is not None else at
        T.reads(words[(*at[:-1], slice(0, layer.words[1]), slice(0, inner), every)] if layer.window is not None else
                words[(*at, slice(0, inner), every)])
        T.writes(pixels[(*at, slice(0, width), slice(0, layer.steps * DEPTH))])
        if layer.window is None:
            unpack(at, source)
            return
        with T.If(tirx.all(at[-1] >= top, at[-1] < layer.words[1] + top)):
            with T.Then():
                fill(at, 0, left)
                unpack(at, source)
                fill(at, left + inner, width)
            with T.Else():
                fill(at, 0, width)


def _unpack_weights(tiles: tuple[int, ...], weights: tirx.Buffer, signs: tirx.Buffer) -> None:
    """Write -1 for every bit that is set and +1 for every other, a row of a tile at a time."""
    with T.grid(*wide(tiles)) as loops, T.sblock(UNPACK_WEIGHTS):
        at = _remap(loops)
        T.reads(weights[tuple(at)])
        T.writes(signs[tuple(at)])
        is_set = T.Cast(_SIGNS, T.reinterpret(f"uint1x{DEPTH}", weights[tuple(at)]))
        one, two = (T.broadcast(tirx.const(value, "int8"), DEPTH) for value in (1, 2))
        T.buffer_store(signs, one - is_set * two, at)


def _count(layer: Layer, pixels: tirx.Buffer, signs: tirx.Buffer, ones: tirx.Buffer, count: tirx.Buffer) -> None:
    """Count the mismatches of each block of positions and channels."""
    cut, window = layer.cut, layer.window or _ONCE
    *outer, width = layer.spatial
    if outer:
        outer[-1] //= cut.rows
    extents = (*outer, width // cut.pixels, layer.blocks // cut.vectors)
    with T.grid(*wide(extents)) as loops, T.sblock(ANCHOR):
        *at, column, block = _remap(loops)
        positions, inputs = [slice(i, i + 1) for i in at], [slice(i, i + 1) for i in at]
        if at:
            positions[-1] = slice(at[-1] * cut.rows, at[-1] * cut.rows + cut.rows)
            inputs[-1] = slice(0, layer.padded[-2])
        here = slice(column * cut.pixels, column * cut.pixels + cut.pixels)
        channels = slice(block * cut.channels, block * cut.channels + cut.channels)
        blocks = slice(block * cut.vectors, block * cut.vectors + cut.vectors)
        of_blocks = (blocks, *_whole([int(extent) for extent in signs.shape[1:]]))
        everywhere = (slice(0, layer.padded[-1]), slice(0, layer.steps * DEPTH))
        T.reads(pixels[(*inputs, *everywhere)], signs[of_blocks], ones[channels])
        T.writes(count[(*positions, here, channels)])
        config = T.sblock_alloc_buffer((8,), "uint64")
        # Whatever lies around the block in the end, its rows are so far apart.
        stride = tirx.Var("stride", "int64")
        shape = (*(1 for _ in at[:-1]), *([cut.rows] if at else []), cut.pixels, cut.channels)
        strides = [*(tirx.Var(f"stride_{axis}", "int64") for axis in range(len(at))), stride, tirx.const(1, "int64")]
        result = T.match_buffer(
            count[(*positions, here, channels)], wide(shape), "int32", strides=strides, offset_factor=1
        )

        def first(position: Index, y: Index, x: Index, step: Index) -> Index:
            row, j = _position(cut, position)
            j = (column * cut.pixels + j) * window.strides[1] + x * window.dilation[1]
            if not at:
                return pixels[j, step * DEPTH]
            i = (at[-1] * cut.rows + row) * window.strides[0] + y * window.dilation[0]
            return pixels[(*at[:-1], i, j, step * DEPTH)]

        def several(start: Index, tall: int) -> None:
            pairs = [(m, n) for m in range(tall) for n in range(cut.vectors)]
            for m, n in pairs:
                amx.load(amx.sums(m, n), ones[block * cut.channels + n * LANES], 0)
            with T.serial(0, layer.kernel[0]) as y, T.serial(0, layer.kernel[1]) as x, T.serial(0, layer.steps) as step:
                tap = (y, x) if layer.window is not None else ()
                for n in range(cut.vectors):
                    amx.load(amx.weights(n), signs[(block * cut.vectors + n, *tap, step, 0)], DEPTH)
                for m in range(tall):
                    amx.load(amx.activations(m), first(start + m, y, x, step), window.strides[1] * layer.steps * DEPTH)
                    for n in range(cut.vectors):
                        amx.multiply(m, n)
            for m, n in pairs:
                row, j = _position(cut, start + m)
                to = [*(0 for _ in at[:-1]), *([row] if at else []), j, n * LANES]
                amx.store(amx.sums(m, n), result[tuple(to)], amx.row_bytes_of_sums(stride))

        amx.configure(config, cut.height)
        whole = cut.tiles // TALL
        if whole:
            with T.serial(0, whole) as several_tiles:
                several(several_tiles * TALL, TALL)
        if cut.tiles % TALL:
            several(tirx.const(whole * TALL, "int32"), cut.tiles % TALL)
        amx.release()


def _position(cut: Blocks, tile: Index) -> tuple[Index, Index]:
    """Return the row and the first pixel, in the block, of a tile; the last of a row ends where the row does."""
    row, column = tirx.floordiv(tile, cut.columns), tirx.floormod(tile, cut.columns)
    return row, tirx.min(column * cut.height, cut.pixels - cut.height)


def _remap(loops: Sequence[Index]) -> list[Index]:
    return list(T.axis.remap("S" * len(loops), list(loops)))


def _whole(extents: Sequence[int]) -> list[slice]:
    return [slice(0, extent) for extent in extents]


def _bytes(step: Index | int) -> Index:
    return T.ramp(step * DEPTH, 1, DEPTH)


def _bits_to_bytes(pixels: tirx.Buffer, bits: Index, at: Sequence[Index]) -> None:
    T.buffer_store(pixels, T.Cast(f"uint8x{DEPTH}", T.reinterpret(f"uint1x{DEPTH}", bits)), list(at))
