"""Layers on bfloat16: the rounding, the kernels against NumPy, and the instructions."""

import numpy as np
import pytest
import tvm
from tvm import te

from schedules.choice import schedule_function
from schedules.kernels import reference
from schedules.kernels.binary.bitpack import wide
from schedules.kernels.narrow import bf16, runs
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.machines.dot import BFDOT, VDPBF16PS, bf16_dot_of
from schedules.machines.isa import AVX512_VPOPCNTDQ, NEON
from schedules.machines.target import find_target, native

HERE = bf16_dot_of(native().tvm, native().isa)
needs_bf16 = pytest.mark.skipif(HERE is None, reason="this machine multiplies no bfloat16")
PADDED = Window((3, 3), padding=(1, 1, 1, 1))
# (height, width, channels in, channels out, window)
CONVOLUTIONS = [
    (8, 8, 16, 32, PADDED),
    (7, 5, 3, 21, PADDED),
    (11, 9, 3, 64, Window((7, 7), (2, 2), (3, 3, 3, 3))),
    (9, 9, 5, 16, Window((3, 3), (1, 1), (2, 2, 2, 2), (2, 2))),
    (4, 4, 64, 48, Window((1, 1))),
]
ROWS = [(1, 64, 64), (5, 31, 10), (3, 1, 1)]


def execute(function, arrays, shape, dtype):
    library = tvm.compile(function, target=tvm.target.Target(native().tvm), tir_pipeline=stack.PIPELINE)
    result = tvm.runtime.tensor(np.full(shape, 77, dtype))
    library["main"](*map(tvm.runtime.tensor, arrays), result)
    return result.numpy()


def scheduled(arrays, made):
    tensors = [te.placeholder(wide(array.shape), str(array.dtype)) for array in arrays]
    return schedule_function(te.create_prim_func([*tensors, made(*tensors)]), native().isa)[0]


def integers(rng, *shape):
    """Numbers that bfloat16 holds and whose sums float32 holds, so that any order gives the same."""
    return rng.integers(-128, 129, shape).astype(np.float32)


def rows_of(x, window, dot):
    """Return numbers as ``round_rows`` lays them out, with rubbish where nothing but zero weights may be met."""
    count, height, width, depth = x.shape
    top, left, bottom, right = window.padding
    rows = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0))).reshape(count, top + height + bottom, -1)
    beyond = runs.row_length(window, depth, width, dot) - rows.shape[-1]
    return bf16.bf16_bits(np.pad(rows, ((0, 0), (0, 0), (0, beyond)), constant_values=99))


@needs_bf16
@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=str)
def test_convolution_is_exact_on_small_integers(shape):
    height, width, depth, channels, window = shape
    rng = np.random.default_rng(0)
    x, weight = integers(rng, 2, height, width, depth), integers(rng, channels, *window.kernel, depth)
    arrays = [rows_of(x, window, HERE), runs.blocked_weights(bf16.bf16_bits(weight), window, HERE)]
    function = scheduled(arrays, lambda q, w: bf16.conv2d(q, w, window, (height, width, depth), channels))
    expected = reference.conv2d(x, weight, window)
    np.testing.assert_array_equal(execute(function, arrays, expected.shape, "float32"), expected)


@needs_bf16
@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_linear_layer_is_exact_on_small_integers(shape):
    rows, depth, channels = shape
    rng = np.random.default_rng(1)
    x, weight = integers(rng, rows, depth), integers(rng, channels, depth)
    stored = bf16.bf16_bits(np.pad(x, ((0, 0), (0, -depth % HERE.group)), constant_values=99))
    arrays = [stored, runs.blocked_weights(bf16.bf16_bits(weight), None, HERE)]
    function = scheduled(arrays, lambda q, w: bf16.dense(q, w, channels))
    expected = reference.dense(x, weight)
    np.testing.assert_array_equal(execute(function, arrays, expected.shape, "float32"), expected)


def test_rounding_is_to_the_nearest_and_ties_go_to_even():
    values = np.array([1.0, 1.00390625, 1.01171875, -3.1415927, 0.0, 65504.0], np.float32)
    np.testing.assert_array_equal(
        bf16.bf16_values(bf16.bf16_bits(values)), np.array([1.0, 1.0, 1.015625, -3.140625, 0.0, 65536.0], np.float32)
    )


@pytest.mark.parametrize("width", [37, 1, 64])
def test_the_kernel_rounds_as_numpy_does_amid_zeros(width):
    x = (np.random.default_rng(2).standard_normal((2, 3, width)) * 1000).astype(np.float32)
    function = bf16.round_rows(x.shape, (2, 1), 3, width + 8).with_attr("global_symbol", "main")
    found = execute(function, [x], (2, 6, width + 8), "uint16")
    np.testing.assert_array_equal(found[:, 2:5, 3 : 3 + width], bf16.bf16_bits(x))
    assert np.count_nonzero(found) == np.count_nonzero(bf16.bf16_bits(x))


def test_what_is_no_number_stays_none_and_infinities_stay():
    bits = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0x7F800000, 0xFF800000], np.uint32)
    x = bits.view(np.float32).reshape(1, 1, -1)
    function = bf16.round_rows(x.shape, (0, 0), 0, 5).with_attr("global_symbol", "main")
    found = bf16.bf16_values(execute(function, [x], (1, 1, 5), "uint16"))[0, 0]
    assert np.isnan(found[:3]).all()
    np.testing.assert_array_equal(found[3:], [np.inf, -np.inf])


ZEN4 = '{"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "znver4"}'


@pytest.mark.parametrize(("target", "dot"), [(ZEN4, VDPBF16PS), ("neoverse-v1", BFDOT)], ids=["avx512", "arm"])
def test_the_instruction_is_found_and_nothing_else_multiplies(target, dot):
    goal = find_target(target)
    assert bf16_dot_of(goal.tvm, goal.isa) == dot
    assert {VDPBF16PS: AVX512_VPOPCNTDQ, BFDOT: NEON}[dot] == goal.isa
    x, weight = np.zeros((1, 8, 8, 16), np.float32), np.zeros((32, 3, 3, 16), np.float32)
    arrays = [rows_of(x, PADDED, dot), runs.blocked_weights(bf16.bf16_bits(weight), PADDED, dot)]
    tensors = [te.placeholder(wide(array.shape), str(array.dtype)) for array in arrays]
    made = bf16.conv2d(*tensors, PADDED, (8, 8, 16), 32)
    function, choice = schedule_function(te.create_prim_func([*tensors, made]), goal.isa)
    library = tvm.compile(function, target=tvm.target.Target(goal.tvm), tir_pipeline=stack.PIPELINE)
    assembly = str(library.mod.inspect_source("asm"))
    assert choice.kernel == "conv2d_bf16"
    assert dot.mnemonic in assembly
    assert "bnn_" not in assembly.replace("bnn_" + "main", "")


@pytest.mark.parametrize("name", ["x86-avx2", "rpi4", "armv7"])
def test_other_targets_have_none(name):
    goal = find_target(name)
    assert bf16_dot_of(goal.tvm, goal.isa) is None
