import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rpc.formats.tensor_file import decode, encode

DTYPES = st.sampled_from([np.float32, np.float64, np.int8, np.int32, np.int64, np.uint8, np.uint32, np.bool_])
TENSORS = DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0)))


@given(st.lists(st.lists(TENSORS, max_size=3), max_size=3))
def test_decoding_what_was_encoded_gives_it_back(calls):
    decoded = decode(encode(calls))
    assert len(decoded) == len(calls)
    for tensors, expected in zip(decoded, calls, strict=True):
        assert len(tensors) == len(expected)
        for tensor, wanted in zip(tensors, expected, strict=True):
            assert tensor.dtype == wanted.dtype
            np.testing.assert_array_equal(tensor, wanted)


@pytest.mark.parametrize("cut", [3, 10, 14, 30])
def test_a_file_that_is_cut_short_is_refused(cut):
    with pytest.raises(ValueError, match=r"no tensor file|cut short"):
        decode(encode([[np.zeros((2, 2), np.float32)]])[:cut])


def test_text_cannot_be_written():
    with pytest.raises(ValueError, match="dtype <U1"):
        encode([[np.array(["a"])]])
