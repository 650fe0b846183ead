"""The kernels on bytes against integers in NumPy, and the instructions that they become."""

import numpy as np
import pytest
import tvm
from tvm import te

from schedules.choice import schedule_function
from schedules.kernels import reference
from schedules.kernels.binary.bitpack import wide
from schedules.kernels.narrow import int8, runs
from schedules.kernels.table import INT8_CONV2D, INT8_DENSE, VARIANTS
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.machines import host
from schedules.machines.dot import VPDPBUSD_512, Dot, dot_of, widening
from schedules.machines.isa import ISAS
from schedules.machines.target import TARGETS, find_target, native

PADDED = Window((3, 3), padding=(1, 1, 1, 1))
# (height, width, channels in, channels out, window)
CONVOLUTIONS = [
    (8, 8, 64, 64, PADDED),
    (7, 5, 33, 31, PADDED),
    (6, 6, 1, 5, PADDED),
    (29, 31, 3, 64, Window((7, 7), (2, 2), (3, 3, 3, 3))),
    (9, 7, 5, 63, Window((3, 3), (2, 2), (1, 1, 1, 1))),
    (9, 9, 6, 32, Window((3, 3), (1, 1), (2, 2, 2, 2), (2, 2))),
    (9, 11, 3, 17, Window((3, 2), (2, 1), (2, 0, 1, 3), (1, 3))),
    (5, 5, 3, 10, Window((1, 1), (2, 2))),
    (2, 2, 16, 16, Window((5, 5), padding=(2, 2, 2, 2))),
]
ROWS = [(1, 64, 64), (5, 31, 10), (3, 4608, 33), (16, 65, 128), (2, 1, 1)]


def variants(kernel):
    """Every instruction set of the table; this machine's own dot product where it has one."""
    plain = [(isa, widening(isa)) for row, isa in VARIANTS if row is kernel]
    here = [target for target in (native(), *TARGETS) if target.runs_here]
    own = {(target.isa, dot_of(target.tvm, target.isa)): None for target in here}
    return plain + [variant for variant in own if variant[1].group > 1]


def name(variant):
    return f"{variant[0].name}-{variant[1].mnemonic or 'widening'}"


def run(isa, tensors, arrays, shape, dtype="int32"):
    function, _ = schedule_function(te.create_prim_func(tensors), isa)
    return execute(function, arrays, shape, dtype)


def execute(function, arrays, shape, dtype):
    library = tvm.compile(function, target=tvm.target.Target(native().tvm), tir_pipeline=stack.PIPELINE)
    result = tvm.runtime.tensor(np.full(shape, 77, dtype))
    library["main"](*map(tvm.runtime.tensor, arrays), result)
    return result.numpy()


def placeholders(arrays):
    return [te.placeholder(wide(array.shape), str(array.dtype)) for array in arrays]


def integers(rng, *shape):
    """All of -127 … 127, the extremes more often."""
    values = rng.integers(-127, 128, shape)
    return np.where(rng.random(shape) < 0.2, np.where(values > 0, 127, -127), values).astype(np.int32)


def bytes_of(x, window, dot):
    """Integers as ``quantize`` lays them out, with rubbish where nothing but zero weights may be met."""
    count, height, width, depth = x.shape
    top, left, bottom, right = window.padding
    padded = np.pad(x + dot.zero_point, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=dot.zero_point)
    rows = padded.reshape(count, top + height + bottom, -1)
    beyond = runs.row_length(window, depth, width, dot) - rows.shape[-1]
    return np.pad(rows, ((0, 0), (0, 0), (0, beyond)), constant_values=99).astype(dot.activations)


@pytest.mark.parametrize("variant", variants(INT8_CONV2D), ids=name)
@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=str)
def test_convolution_is_exact(variant, shape):
    isa, dot = variant
    height, width, depth, channels, window = shape
    rng = np.random.default_rng(0)
    x, weight = integers(rng, 2, height, width, depth), integers(rng, channels, *window.kernel, depth)
    arrays = [bytes_of(x, window, dot), runs.blocked_weights(weight.astype(np.int8), window, dot)]
    tensors = placeholders(arrays)
    made = int8.conv2d(*tensors, window, (height, width, depth), channels)
    expected = reference.conv2d(x, weight, window)
    found = run(isa, [*tensors, made], arrays, expected.shape)
    np.testing.assert_array_equal(found - dot.zero_point * weight.sum((1, 2, 3)), expected)


@pytest.mark.parametrize("variant", variants(INT8_DENSE), ids=name)
@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_linear_layer_is_exact(variant, shape):
    isa, dot = variant
    rows, depth, channels = shape
    rng = np.random.default_rng(1)
    x, weight = integers(rng, rows, depth), integers(rng, channels, depth)
    weight[0], x[0] = 127, 127
    beyond = -depth % dot.group
    stored = np.pad(x + dot.zero_point, ((0, 0), (0, beyond)), constant_values=99).astype(dot.activations)
    arrays = [stored, runs.blocked_weights(weight.astype(np.int8), None, dot)]
    tensors = placeholders(arrays)
    expected = reference.dense(x, weight)
    found = run(isa, [*tensors, int8.dense(*tensors, channels)], arrays, expected.shape)
    np.testing.assert_array_equal(found - dot.zero_point * weight.sum(1), expected)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16"])
@pytest.mark.parametrize("shape", [(2, 3, 37), (1, 1, 1), (3, 4, 64), (2, 5, 15)], ids=str)
def test_numbers_are_rounded_to_the_nearest_byte_amid_zero_points(shape, dtype):
    rng = np.random.default_rng(2)
    count, height, width = shape
    x = rng.standard_normal(shape).astype(np.float32)
    x[0, 0, 0] = -np.abs(x).max()
    scale = (np.abs(x).max(axis=(1, 2)) / 127).astype(np.float32)
    zero = 128 if dtype == "uint8" else 0
    function = int8.quantize(shape, (2, 1), 3, width + 8, dtype).with_attr("global_symbol", "main")
    found = execute(function, [x, scale], (count, height + 3, width + 8), dtype).astype(int) - zero
    inside = found[:, 2 : 2 + height, 3 : 3 + width]
    assert np.abs(inside - x / scale[:, None, None]).max() <= 0.5 + 1e-4
    assert np.abs(found).max() <= 127
    assert np.abs(found).sum() == np.abs(inside).sum()


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
def test_a_scale_is_a_samples_largest_magnitude_and_never_zero(isa):
    x = np.random.default_rng(3).standard_normal((3, 7, 48)).astype(np.float32)
    x[2] = 0
    tensors = placeholders([x])
    scale = run(isa, [*tensors, int8.activation_scale(*tensors)], [x], (3,), "float32")
    np.testing.assert_allclose(scale[:2], np.abs(x[:2]).max(axis=(1, 2)) / 127, rtol=1e-6)
    assert 0 < scale[2] < 1e-30


ALDER_LAKE = '{"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v3", "mattr": ["+avxvnni"]}'

NO_VNNI = '{"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v4", "mattr": ["+avx512vpopcntdq"]}'


def assembly(target, dot: Dot):
    q = te.placeholder(wide((1, 30, runs.row_length(PADDED, 64, 28, dot))), dot.activations)
    blank = np.zeros((64, 3, 3, 64), np.int8)
    weights = te.placeholder(wide(runs.blocked_weights(blank, PADDED, dot).shape), "int8")
    made = int8.conv2d(q, weights, PADDED, (28, 28, 64), 64)
    function, _ = schedule_function(te.create_prim_func([q, weights, made]), target.isa)
    library = tvm.compile(function, target=tvm.target.Target(target.tvm), tir_pipeline=stack.PIPELINE)
    return str(library.mod.inspect_source("asm"))


@pytest.mark.parametrize(
    ("wanted", "mnemonic", "register"),
    [
        ("x86-avx512", "vpdpbusd", "zmm"),
        (ALDER_LAKE, "vpdpbusd", "ymm"),
        ("rpi5", "sdot", "v0.4s"),
        (NO_VNNI, "vpmaddwd", "zmm"),
        ("x86-avx2", "vpmaddwd", "ymm"),
        ("x86-64", "pmaddwd", "xmm"),
    ],
    ids=["x86-avx512", "alderlake", "rpi5", "no-vnni", "x86-avx2", "x86-64"],
)
def test_a_target_with_a_dot_product_of_bytes_uses_it(wanted, mnemonic, register):
    target = find_target(wanted)
    dot = dot_of(target.tvm, target.isa)
    assert dot.mnemonic == mnemonic
    lines = [line for line in assembly(target, dot).splitlines() if f"\t{mnemonic}" in line]
    assert len(lines) >= 8
    assert any(register in line for line in lines)


@pytest.mark.parametrize("wanted", ["rpi3", "rpi4"])
def test_a_target_without_one_widens(wanted):
    target = find_target(wanted)
    dot = dot_of(target.tvm, target.isa)
    assert dot == widening(target.isa)
    assert "\tsdot" not in assembly(target, dot)


def test_every_sum_fits_its_accumulator():
    assert int8.MOST_PRODUCTS * 255 * 127 < 2**31
    assert VPDPBUSD_512.zero_point + int8.LARGEST == 255


def test_the_table_has_the_kernels_for_every_instruction_set():
    assert [isa for kernel, isa in VARIANTS if kernel is INT8_CONV2D] == list(ISAS)
