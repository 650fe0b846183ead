import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from schedules.kernels.binary import bits

WORD_BITS = st.sampled_from([8, 16, 32, 64])


@st.composite
def sign_tensors(draw):
    groups = draw(st.integers(1, 4))
    depth = draw(st.integers(1, 130))
    rows = draw(st.integers(1, 3))
    booleans = draw(arrays.arrays(np.bool_, (rows, groups * depth)))
    return np.where(booleans, 1, -1).astype(np.int8), groups


@given(sign_tensors(), WORD_BITS)
def test_unpacking_what_was_packed_gives_it_back(tensor, word_bits):
    signs, groups = tensor
    words = bits.pack(signs, word_bits, groups)
    assert words.shape[-1] == groups * bits.words_for(signs.shape[-1] // groups, word_bits)
    np.testing.assert_array_equal(bits.unpack(words, signs.shape[-1], groups), signs)


@given(sign_tensors(), sign_tensors(), WORD_BITS)
def test_depth_minus_twice_the_mismatches_is_the_dot_product(a, b, word_bits):
    depth = min(a[0].shape[-1], b[0].shape[-1])
    x, y = a[0][0, :depth].astype(int), b[0][0, :depth].astype(int)
    mismatches = np.bitwise_count(bits.pack(x, word_bits) ^ bits.pack(y, word_bits)).sum()
    dot = depth - 2 * int(mismatches)
    assert dot == x @ y
    assert -depth <= dot <= depth
    assert (dot - depth) % 2 == 0


@given(sign_tensors())
def test_the_same_bytes_serve_every_word_width(tensor):
    signs, _ = tensor
    narrow = bits.pack(signs, 8)
    for word_bits in (16, 32, 64):
        wide = np.ascontiguousarray(bits.pack(signs, word_bits)).view(np.uint8)
        np.testing.assert_array_equal(wide[..., : narrow.shape[-1]], narrow)


def test_the_first_channel_is_the_least_significant_bit_and_plus_one_is_a_set_bit():
    assert bits.pack(np.array([1, -1, -1, -1, 1]), 8).tolist() == [0b10001]


def test_each_group_starts_a_new_word():
    assert bits.pack(np.array([1, -1, 1, 1]), 8, groups=2).tolist() == [0b01, 0b11]


def test_packing_what_is_no_sign_is_refused():
    with pytest.raises(ValueError, match="only"):
        bits.pack(np.array([1, 0]), 32)


def test_channels_that_do_not_divide_into_the_groups_are_refused():
    with pytest.raises(ValueError, match="5 channels do not divide into 2 groups"):
        bits.pack(np.ones(5), 32, groups=2)
