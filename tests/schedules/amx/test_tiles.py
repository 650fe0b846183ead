"""How signs lie in tiles, and which targets have any."""

import numpy as np
import pytest

from relay_passes.pack.pack_layers import block_channels
from schedules.amx.blocks import blocks_of
from schedules.amx.tiles import DEPTH, GROUP, LANES, ROWS, tiled_weights
from schedules.kernels.binary import bits
from schedules.machines.amx import has_tiles
from schedules.machines.isa import AVX2, AVX512_VPOPCNTDQ
from schedules.machines.target import find_target


def tiled(weight):
    return tiled_weights(np.ascontiguousarray(block_channels(bits.pack(weight, 32), LANES)))


@pytest.mark.parametrize("shape", [(16, 64), (16, 3, 3, 64), (40, 2, 1, 100), (5, 1), (32, 1, 1, 33)], ids=str)
def test_a_bit_lies_where_the_instruction_reads_its_byte(shape):
    weight = np.random.default_rng(0).choice(np.array([-1, 1], np.int32), shape)
    masks, ones = tiled(weight)
    channels, *taps, depth = shape
    blocks, steps = -(-channels // LANES), -(-depth // DEPTH)
    assert masks.shape == (blocks, *taps, steps, ROWS)
    # (blocks, *taps, steps, rows, lanes, group): byte GROUP * lane + q of row r is depth GROUP * r + q of its lane.
    is_set = np.unpackbits(masks[..., None].view(np.uint8), axis=-1, bitorder="little")
    is_set = is_set.reshape(*masks.shape, LANES, GROUP)
    by_channel = np.moveaxis(is_set, -2, 1).reshape(blocks * LANES, *taps, steps * DEPTH)
    np.testing.assert_array_equal(by_channel[:channels, ..., :depth], weight > 0)
    assert by_channel.sum() == (weight > 0).sum()
    np.testing.assert_array_equal(ones, by_channel.reshape(blocks * LANES, -1).sum(axis=1))


@pytest.mark.parametrize("rows", [1, 2, 7, 14, 13, 56])
@pytest.mark.parametrize("pixels", [1, 7, 14, 15, 17, 28, 56, 112, 113, 120, 128, 197, 224, 226])
@pytest.mark.parametrize("channel_blocks", [1, 2, 3, 8])
def test_blocks_divide_the_layer_and_tiles_cover_their_rows(rows, pixels, channel_blocks):
    cut = blocks_of(rows, pixels, channel_blocks)
    assert rows % cut.rows == 0
    assert pixels % cut.pixels == 0
    assert channel_blocks % cut.vectors == 0
    assert cut.rows == 1 or cut.pixels == pixels
    assert cut.height <= min(ROWS, cut.pixels)
    starts = [min(column * cut.height, cut.pixels - cut.height) for column in range(cut.columns)]
    covered = {start + pixel for start in starts for pixel in range(cut.height)}
    assert covered == set(range(cut.pixels))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x86-amx", True),
        ('{"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "sapphirerapids"}', True),
        ("x86-avx512", False),
        ('{"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "icelake-server"}', False),
        ('{"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "znver5"}', False),
        ("x86-avx2", False),
        ("rpi5", False),
    ],
)
def test_targets_have_tiles_if_their_processors_do(name, expected):
    target = find_target(name)
    assert has_tiles(target.tvm, target.isa) is expected


def test_words_of_another_width_have_no_tiles():
    assert not has_tiles(find_target("x86-amx").tvm, AVX2)
    assert find_target("x86-amx").isa == AVX512_VPOPCNTDQ
