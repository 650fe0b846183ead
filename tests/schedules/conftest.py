import numpy as np
import pytest
import tvm
from tvm import te

from relay_passes.pack.pack_layers import block_channels
from schedules.kernels.binary import bits
from schedules.kernels.binary.bitpack import wide
from schedules.kernels.binary.border import border_table
from schedules.kernels.table import BINARY_CONV2D, BINARY_MATMUL
from schedules.kernels.window import Window


@pytest.fixture
def convolution():
    """Return a function that makes an unscheduled binary 3x3 convolution for an instruction set."""

    def make(isa, size=8, depth=64, channels=64) -> tvm.tirx.PrimFunc:
        window = Window((3, 3), padding=(1, 1, 1, 1))
        rng = np.random.default_rng(0)
        weight = rng.choice(np.array([-1, 1], np.int32), (channels, 3, 3, depth))
        arrays = [
            bits.pack(np.ones((1, size, size, depth)), isa.word_bits),
            np.ascontiguousarray(block_channels(bits.pack(weight, isa.word_bits), isa.binary_lanes)),
            border_table(weight, window, size, size),
        ]
        tensors = [te.placeholder(wide(array.shape), str(array.dtype)) for array in arrays]
        return te.create_prim_func([*tensors, BINARY_CONV2D.meaning(*tensors, window, channels, 1)])

    return make


@pytest.fixture
def product():
    """Return a function that makes an unscheduled product of activations for an instruction set."""

    def make(isa, batch=(2,), rows=12, others=64, depth=128) -> tvm.tirx.PrimFunc:
        words = bits.words_for(depth, isa.word_bits)
        tensors = [te.placeholder(wide((*batch, count, words)), isa.word_dtype) for count in (rows, others)]
        return te.create_prim_func([*tensors, BINARY_MATMUL.meaning(*tensors, depth, isa.binary_lanes)])

    return make
