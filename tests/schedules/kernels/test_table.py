"""Every row of the kernel table against its reference, on shapes that hurt."""

import numpy as np
import pytest
import tvm
from tvm import te

from relay_passes.pack.pack_layers import block_channels
from schedules.choice import schedule_function
from schedules.kernels.binary import bits
from schedules.kernels.binary.bitpack import wide
from schedules.kernels.binary.border import border_table
from schedules.kernels.table import (
    BINARY_CONV2D,
    BINARY_DENSE,
    BINARY_MATMUL,
    FLOAT_CONV2D,
    FLOAT_DENSE,
    KERNELS,
    VARIANTS,
)
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.machines.isa import ISAS, Isa

PADDED = Window((3, 3), padding=(1, 1, 1, 1))
# (height, width, channels in, channels out, window, groups)
CONVOLUTIONS = [
    (8, 8, 64, 64, PADDED, 1),
    (7, 5, 33, 31, PADDED, 1),
    (6, 6, 1, 5, PADDED, 1),
    (9, 7, 65, 63, Window((3, 3), (2, 2), (1, 1, 1, 1)), 1),
    (8, 8, 48, 24, Window((5, 5), (1, 1), (2, 2, 2, 2)), 1),
    (9, 9, 32, 32, Window((3, 3), (1, 1), (2, 2, 2, 2), (2, 2)), 1),
    (6, 6, 64, 64, PADDED, 2),
    (6, 6, 12, 12, PADDED, 12),
    (4, 4, 128, 96, Window((1, 1)), 1),
    (2, 2, 16, 16, Window((5, 5), padding=(2, 2, 2, 2)), 1),
    (3, 11, 512, 16, Window((1, 7), padding=(0, 3, 0, 3)), 1),
    (5, 3, 200, 104, PADDED, 1),
    (5, 4, 32, 128, Window((3, 3), (2, 1), (1, 1, 1, 1), (1, 2)), 4),
    (5, 5, 16, 24, Window((5, 5), padding=(2, 2, 2, 2)), 1),
]
# (axes of the batch, rows of either operand, depth)
PRODUCTS = [
    ((2, 3), 16, 32, 64),
    ((1, 2), 13, 13, 33),
    ((3,), 50, 7, 31),
    ((2,), 5, 197, 64),
    ((2,), 197, 6, 197),
    ((), 1, 65, 4608),
    ((1,), 24, 1, 1),
    ((), 2, 3, 70000),
]
ROWS = [(1, 64, 64), (5, 31, 10), (3, 4608, 33), (16, 65, 128), (2, 1, 1), (1, 70000, 4)]


def run(isa: Isa, tensors: list[te.Tensor], arrays: list[np.ndarray], shape: tuple[int, ...], dtype: str) -> np.ndarray:
    function, _ = schedule_function(te.create_prim_func(tensors), isa)
    library = tvm.compile(function, target="llvm", tir_pipeline=stack.PIPELINE)
    result = tvm.runtime.tensor(np.full(shape, 77, dtype))
    library["main"](*map(tvm.runtime.tensor, arrays), result)
    return result.numpy()


def placeholders(arrays: list[np.ndarray]) -> list[te.Tensor]:
    return [te.placeholder(wide(array.shape), str(array.dtype)) for array in arrays]


def signs(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.choice(np.array([-1, 1], np.int32), shape)


@pytest.mark.parametrize("isa", [isa for kernel, isa in VARIANTS if kernel is BINARY_CONV2D], ids=lambda isa: isa.name)
@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=str)
def test_binary_convolution_is_exact(isa, shape):
    height, width, depth, channels, window, groups = shape
    rng = np.random.default_rng(0)
    x, weight = signs(rng, 2, height, width, depth), signs(rng, channels, *window.kernel, depth // groups)
    lanes = isa.binary_lanes if groups == 1 else int(np.gcd(channels // groups, isa.binary_lanes))
    border = border_table(weight, window, height, width)
    arrays = [
        bits.pack(x, isa.word_bits, groups),
        np.ascontiguousarray(block_channels(bits.pack(weight, isa.word_bits), lanes)),
        np.pad(border, ((0, 0), (0, 0), (0, -channels % lanes))),
    ]
    tensors = placeholders(arrays)
    expected = BINARY_CONV2D.reference(x, weight, window, groups)
    made = BINARY_CONV2D.meaning(*tensors, window, channels, groups)
    np.testing.assert_array_equal(run(isa, [*tensors, made], arrays, expected.shape, "int32"), expected)


@pytest.mark.parametrize("isa", [isa for kernel, isa in VARIANTS if kernel is BINARY_DENSE], ids=lambda isa: isa.name)
@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_binary_linear_layer_is_exact(isa, shape):
    rows, depth, channels = shape
    rng = np.random.default_rng(1)
    # All products +1 or all -1 in the first channels: what would overflow an accumulator that is too narrow.
    x, weight = signs(rng, rows, depth), signs(rng, channels, depth)
    weight[0] = x[0]
    weight[-1] = -x[0]
    packed = block_channels(bits.pack(weight, isa.word_bits), isa.binary_lanes)
    arrays = [bits.pack(x, isa.word_bits), np.ascontiguousarray(packed)]
    tensors = placeholders(arrays)
    expected = BINARY_DENSE.reference(x, weight)
    made = BINARY_DENSE.meaning(*tensors, channels, depth)
    np.testing.assert_array_equal(run(isa, [*tensors, made], arrays, expected.shape, "int32"), expected)


@pytest.mark.parametrize("isa", [isa for kernel, isa in VARIANTS if kernel is BINARY_MATMUL], ids=lambda isa: isa.name)
@pytest.mark.parametrize("shape", PRODUCTS, ids=str)
def test_product_of_activations_is_exact(isa, shape):
    batch, rows, others, depth = shape
    rng = np.random.default_rng(4)
    a, b = signs(rng, *batch, rows, depth), signs(rng, *batch, others, depth)
    b[..., 0, :] = a[..., 0, :]
    arrays = [bits.pack(a, isa.word_bits), bits.pack(b, isa.word_bits)]
    tensors = placeholders(arrays)
    expected = BINARY_MATMUL.reference(a, b)
    made = BINARY_MATMUL.meaning(*tensors, depth, BINARY_MATMUL.lanes(isa))
    np.testing.assert_array_equal(run(isa, [*tensors, made], arrays, expected.shape, "int32"), expected)


@pytest.mark.parametrize("isa", [isa for kernel, isa in VARIANTS if kernel is FLOAT_CONV2D], ids=lambda isa: isa.name)
@pytest.mark.parametrize("shape", [shape for shape in CONVOLUTIONS if shape[-1] == 1], ids=str)
def test_float_convolution_is_exact_on_small_integers(isa, shape):
    height, width, depth, channels, window, _ = shape
    rng = np.random.default_rng(2)
    # Integers below 2**24 add up exactly in any order, so a float kernel has to be exact too.
    x = rng.integers(-8, 9, (2, height, width, depth)).astype(np.float32)
    weight = rng.integers(-8, 9, (channels, *window.kernel, depth)).astype(np.float32)
    arrays = [x, np.ascontiguousarray(block_channels(weight, isa.float_lanes))]
    tensors = placeholders(arrays)
    expected = FLOAT_CONV2D.reference(x, weight, window)
    made = FLOAT_CONV2D.meaning(*tensors, window, channels)
    np.testing.assert_array_equal(run(isa, [*tensors, made], arrays, expected.shape, "float32"), expected)


@pytest.mark.parametrize("isa", [isa for kernel, isa in VARIANTS if kernel is FLOAT_DENSE], ids=lambda isa: isa.name)
@pytest.mark.parametrize("shape", ROWS[:-1], ids=str)
def test_float_linear_layer_is_exact_on_small_integers(isa, shape):
    rows, depth, channels = shape
    rng = np.random.default_rng(3)
    x = rng.integers(-8, 9, (rows, depth)).astype(np.float32)
    weight = rng.integers(-8, 9, (channels, depth)).astype(np.float32)
    arrays = [x, np.ascontiguousarray(block_channels(weight, isa.float_lanes))]
    tensors = placeholders(arrays)
    expected = FLOAT_DENSE.reference(x, weight)
    made = FLOAT_DENSE.meaning(*tensors, channels)
    np.testing.assert_array_equal(run(isa, [*tensors, made], arrays, expected.shape, "float32"), expected)


def test_every_kernel_has_a_row_for_every_instruction_set():
    assert len(VARIANTS) == len(KERNELS) * len(ISAS)
