import pytest

from schedules.machines.isa import AVX2, AVX512_VPOPCNTDQ, ISAS, NEON, PORTABLE
from schedules.templates.tile import Tile, choose_single_tile, choose_tile, depth_of_loads


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
@pytest.mark.parametrize("pixels", [1, 4, 7, 13, 14, 28, 56, 97])
@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 16])
@pytest.mark.parametrize("steps", [1, 8, 9, 144])
def test_tiles_fit_the_registers_and_divide_the_layer(isa, pixels, blocks, steps):
    lanes = isa.binary_lanes
    tile = choose_tile(pixels, blocks * lanes, steps, lanes, isa, isa.word_bits)
    assert tile.pixels * tile.vectors <= isa.accumulators
    assert tile.pixels * tile.vectors + tile.vectors + 2 <= isa.registers
    assert pixels % tile.pixels == 0
    assert blocks % tile.vectors == 0
    if tile.groups is not None:
        assert tile.groups * tile.vectors * lanes % isa.word_bits == 0


def test_tiles_leave_registers_for_weights_and_products():
    tile = choose_tile(28, 128, 36, 16, AVX512_VPOPCNTDQ, 32)
    assert tile == Tile(pixels=4, vectors=4, lanes=16, groups=1)


def test_one_word_of_64_bits_needs_several_tiles_of_four_lanes():
    assert choose_tile(14, 64, 18, 4, AVX2, 64) == Tile(pixels=2, vectors=4, lanes=4, groups=4)


def test_packing_waits_for_the_layer_where_no_tile_fills_words():
    assert choose_tile(8, 32, 18, 16, AVX512_VPOPCNTDQ, 24).groups is None


def test_a_short_reduction_gets_a_small_tile():
    assert choose_tile(28, 256, 8, 16, AVX512_VPOPCNTDQ, 32) == Tile(pixels=4, vectors=2, lanes=16, groups=1)


@pytest.mark.parametrize(
    ("depth", "steps"),
    [(1, 1), (4, 4), (7, 7), (8, 8), (9, 9), (10, 5), (11, 11), (13, 13), (16, 8), (17, 1), (32, 8)],
)
def test_loads_of_eight_lanes_serve_a_divisor_of_the_depth_or_all_of_it(depth, steps):
    assert depth_of_loads(depth, 8) == steps


@pytest.mark.parametrize(
    ("isa", "vectors"), [(AVX512_VPOPCNTDQ, 3), (AVX2, 5), (NEON, 5), (PORTABLE, 5)], ids=lambda value: str(value)[:20]
)
def test_a_head_of_1000_classes_has_sums_enough_for_the_latency_of_an_addition(isa, vectors):
    """Padded to whole vectors: 63 of them, or 125, or 250."""
    lanes = isa.float_lanes
    tile = choose_single_tile(-(-1000 // lanes) * lanes, lanes, isa, None)
    assert tile == Tile(pixels=1, vectors=vectors, lanes=lanes, groups=None)


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
@pytest.mark.parametrize("blocks", [1, 2, 7, 64, 97])
def test_the_tile_of_one_position_divides_the_layer_and_fits_the_registers(isa, blocks):
    lanes = isa.float_lanes
    tile = choose_single_tile(blocks * lanes, lanes, isa, lanes)
    assert tile.pixels == tile.groups == 1
    assert blocks % tile.vectors == 0
    assert tile.vectors + 2 <= isa.registers
    assert tile.vectors * lanes * 4 <= 256
