import pytest
from tvm import te

from schedules.kernels.binary.bconv2d import bconv2d
from schedules.kernels.window import Window
from schedules.machines.isa import NEON
from schedules.templates.neon_tile import columns_at_once, neon_tile
from schedules.templates.tile import divisors
from schedules.tuned.workload import layer_of

LANES = NEON.binary_lanes


@pytest.mark.parametrize("pixels", [1, 7, 13, 14, 17, 28, 56, 97])
@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 12, 13, 25, 97])
@pytest.mark.parametrize("steps", [1, 4, 9, 63, 144, 288, 5000])
def test_tiles_fit_the_registers_and_divide_the_layer(pixels, blocks, steps):
    chosen = neon_tile(pixels, blocks, steps, LANES, NEON)
    assert chosen[0] in divisors(pixels)
    assert chosen[1] in divisors(blocks)
    assert chosen[0] * chosen[1] <= NEON.accumulators
    assert chosen[0] * chosen[1] + chosen[1] + 2 <= NEON.registers


@pytest.mark.parametrize(
    ("pixels", "blocks", "steps", "tile"),
    [
        (28, 16, 72, (4, 4)),
        # A row of 14 takes seven pixels or two, and vectors are worth more.
        (14, 32, 144, (2, 8)),
        # Eight vectors of weights would be 36 kB.
        (7, 64, 288, (7, 2)),
        # Thirteen vectors of outputs divide into ones only, or not at all.
        (28, 13, 63, (1, 13)),
        (17, 12, 54, (1, 12)),
        # Few steps: the end counts, whose operands pixels share.
        (28, 16, 8, (4, 2)),
        (14, 16, 8, (2, 4)),
    ],
)
def test_broadcasts_are_dear_and_weights_stay_next_to_the_core(pixels, blocks, steps, tile):
    assert neon_tile(pixels, blocks, steps, LANES, NEON) == tile


def test_a_tile_keeps_to_one_group():
    words = te.placeholder((1, 14, 14, 8), "uint16", name="words")
    weights = te.placeholder((16, 3, 3, 1, 8), "uint16", name="weights")
    border = te.placeholder((3, 3, 128), "int32", name="border")
    grouped = bconv2d(words, weights, border, Window((3, 3), padding=(1, 1, 1, 1)), 128, 8)
    layer = layer_of(te.create_prim_func([words, weights, border, grouped]), NEON)
    assert layer.tile.vectors == 2
    assert layer.is_within_group(layer.tile.vectors)


@pytest.mark.parametrize(
    ("depth", "columns", "shared", "unrolled"),
    [(1, 3, False, 3), (2, 3, False, 3), (4, 3, True, 3), (4, 3, False, 1), (5, 3, True, 1), (1, 7, True, 7)],
)
def test_columns_of_few_words_follow_each_other(depth, columns, shared, unrolled):
    assert columns_at_once(depth, columns, shared) == unrolled
