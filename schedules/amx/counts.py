"""The mismatches of a binary layer, counted by AMX: the function that unpacks bits to bytes and multiplies tiles.

Three blocks, which schedules place: all activations become bytes, amid the padding; the weights of a block's channels
become bytes; and a block of output positions x channels is counted. Tiles take their rows from where pixels lie, as far
apart as the stride says: a convolution copies no input for each tap, and takes any stride and dilation.
"""

from __future__ import annotations

import dataclasses

from tvm import tirx
from tvm.ir import Expr as Index
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from schedules.amx import instructions as amx
from schedules.amx.blocks import ONCE, TALL, Blocks, Layer
from schedules.amx.tiles import DEPTH, LANES, ROWS
from schedules.amx.unpack import SIGNS, remap, unpack_input, unpack_weights
from schedules.kernels.binary.bitpack import wide

#: The name of the block that counts.
ANCHOR = "popcount_in_tiles"


def counts(layer: Layer) -> tirx.PrimFunc:
    """Return the function ``(words, weights, ones, count)`` that counts a layer's mismatches.

    Its tensors are the layer's input, uint32; the two of :func:`schedules.amx.tiles.tiled_weights`; and the counts,
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
        signs = T.sblock_alloc_buffer(wide(tiles), SIGNS)
        unpack_input(layer, words, pixels)
        unpack_weights(tiles, weights, signs)
        _count(layer, pixels, signs, ones, count)
    return builder.get()


@dataclasses.dataclass(frozen=True)
class _Operands:
    """What a block reads and writes, and where it lies: its rows of the output, their part, and its channels."""

    layer: Layer
    pixels: tirx.Buffer
    signs: tirx.Buffer
    ones: tirx.Buffer
    result: tirx.Buffer
    stride: tirx.Var
    at: tuple[Index, ...]
    column: Index
    block: Index


def _count(layer: Layer, pixels: tirx.Buffer, signs: tirx.Buffer, ones: tirx.Buffer, count: tirx.Buffer) -> None:
    """Count the mismatches of each block of positions and channels."""
    cut = layer.cut
    *outer, width = layer.spatial
    if outer:
        outer[-1] //= cut.rows
    with T.grid(*wide((*outer, width // cut.pixels, layer.blocks // cut.vectors))) as loops, T.sblock(ANCHOR):
        *at, column, block = remap(loops)
        samples, rows = [_some(i, 1) for i in at[:-1]], [_some(i, cut.rows) for i in at[-1:]]
        everything = [slice(0, int(extent)) for extent in pixels.shape[len(samples) :]]
        channels = _some(block, cut.channels)
        T.reads(
            pixels[(*samples, *everything)],
            signs[(_some(block, cut.vectors), *(slice(0, int(extent)) for extent in signs.shape[1:]))],
            ones[channels],
        )
        written = count[(*samples, *rows, _some(column, cut.pixels), channels)]
        T.writes(written)
        config = T.sblock_alloc_buffer((8,), "uint64")
        # Whatever buffer holds the counts in the end, its pixels are so far apart.
        stride = tirx.Var("stride", "int64")
        strides = [*(tirx.Var(f"stride_{axis}", "int64") for axis in range(len(at))), stride, tirx.const(1, "int64")]
        shape = wide((*(1 for _ in samples), *(cut.rows for _ in rows), cut.pixels, cut.channels))
        result = T.match_buffer(written, shape, "int32", strides=strides, offset_factor=1)
        amx.configure(config, cut.height)
        _multiply_all(_Operands(layer, pixels, signs, ones, result, stride, tuple(at), column, block))
        amx.release()


def _some(index: Index, extent: int) -> slice:
    return slice(index * extent, index * extent + extent)


def _multiply_all(operands: _Operands) -> None:
    """Go through the tiles of a block, ``TALL`` at a time, and what is left."""
    whole, rest = divmod(operands.layer.cut.tiles, TALL)
    if whole:
        with T.serial(0, whole) as several:
            _multiply(operands, several * TALL, TALL)
    if rest:
        _multiply(operands, tirx.const(whole * TALL, "int32"), rest)


def _multiply(operands: _Operands, start: Index, tall: int) -> None:
    """Count ``tall`` tiles of pixels from ``start`` on, for all channels of a block."""
    layer, cut, block = operands.layer, operands.layer.cut, operands.block
    row_bytes = (layer.window or ONCE).strides[1] * layer.steps * DEPTH
    pairs = [(m, n) for m in range(tall) for n in range(cut.vectors)]
    for m, n in pairs:
        amx.load(amx.sums(m, n), operands.ones[block * cut.channels + n * LANES], 0)
    with T.serial(0, layer.kernel[0]) as y, T.serial(0, layer.kernel[1]) as x, T.serial(0, layer.steps) as step:
        tap = (y, x) if layer.window is not None else ()
        for n in range(cut.vectors):
            amx.load(amx.weights(n), operands.signs[(block * cut.vectors + n, *tap, step, 0)], DEPTH)
        for m in range(tall):
            amx.load(amx.activations(m), _pixel(operands, start + m, y, x, step), row_bytes)
            for n in range(cut.vectors):
                amx.multiply(m, n)
    for m, n in pairs:
        row, j = _position(cut, start + m)
        to = [*(0 for _ in operands.at[:-1]), *(row for _ in operands.at[-1:]), j, n * LANES]
        amx.store(amx.sums(m, n), operands.result[tuple(to)], amx.row_bytes_of_sums(operands.stride))


def _pixel(operands: _Operands, tile: Index, y: Index, x: Index, step: Index) -> Index:
    """Return the first of the bytes that a tile of pixels reads for a tap and a step of the depth."""
    cut, at, window = operands.layer.cut, operands.at, operands.layer.window or ONCE
    row, j = _position(cut, tile)
    j = (operands.column * cut.pixels + j) * window.strides[1] + x * window.dilation[1]
    rows = [(i * cut.rows + row) * window.strides[0] + y * window.dilation[0] for i in at[-1:]]
    return operands.pixels[(*at[:-1], *rows, j, step * DEPTH)]


def _position(cut: Blocks, tile: Index) -> tuple[Index, Index]:
    """Return the row and the first pixel, in the block, of a tile; the last of a row ends where the row does."""
    row, column = tirx.floordiv(tile, cut.columns), tirx.floormod(tile, cut.columns)
    return row, tirx.min(column * cut.height, cut.pixels - cut.height)
