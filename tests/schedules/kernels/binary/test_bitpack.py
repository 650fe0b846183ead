import numpy as np
import pytest
import tvm

from schedules.kernels import reference
from schedules.kernels.binary import bits
from schedules.kernels.binary.bitpack import bitpack, channels_a_word, vectors_in
from schedules.lowering import stack

SHAPES = [
    ((1, 3, 3, 64), 1),
    ((2, 5, 4, 48), 2),
    ((5, 70), 1),
    ((3, 128), 1),
    ((1, 2, 2, 32), 4),
    ((1, 1), 1),
    ((2, 3, 24), 1),
]


@pytest.mark.parametrize("word_bits", [16, 32, 64])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize(("shape", "groups"), SHAPES, ids=str)
def test_bits_are_thresholds_of_values_flipped_where_asked(shape, groups, dtype, word_bits):
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, shape).astype(dtype)
    tau = rng.integers(-2, 3, shape[-1]).astype(dtype)
    flip = rng.random(shape[-1]) < 0.5
    expected = bits.pack_bools(reference.threshold(x, tau, flip), word_bits, groups)
    function = bitpack(shape, dtype, word_bits, groups).with_attr("global_symbol", "main")
    library = tvm.compile(function, target="llvm", tir_pipeline=stack.PIPELINE)
    words = tvm.runtime.tensor(np.full_like(expected, 0x55))
    library["main"](*map(tvm.runtime.tensor, (x, tau, bits.pack_bools(flip, word_bits, groups))), words)
    np.testing.assert_array_equal(words.numpy(), expected)


@pytest.mark.parametrize(
    ("depth", "word_bits", "expected"), [(64, 32, 32), (24, 32, 24), (48, 64, 48), (31, 32, None), (96, 64, None)]
)
def test_words_hold_whole_vectors_of_channels_or_are_packed_bit_by_bit(depth, word_bits, expected):
    assert channels_a_word(depth, word_bits) == expected


def test_a_word_is_made_of_the_largest_masks_that_fit():
    assert vectors_in(64) == [(0, 64)]
    assert vectors_in(56) == [(0, 32), (32, 16), (48, 8)]
