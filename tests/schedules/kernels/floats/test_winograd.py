import itertools
import re

import numpy as np
import pytest
import tvm

from schedules.choice import schedule_function
from schedules.kernels.floats import winograd
from schedules.kernels.floats.winograd_taps import taps_of, weights
from schedules.kernels.table import VARIANTS, WINOGRAD_CONV2D
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.machines.isa import AVX512_VPOPCNTDQ, ISAS, NEON
from schedules.machines.target import find_target
from schedules.tuned import space
from schedules.tuned.workload import layer_of

# (height, width, channels in, channels out, window)
CONVOLUTIONS = [
    (16, 16, 3, 16, Window((3, 3), padding=(1, 1, 1, 1))),
    (40, 36, 3, 21, Window((7, 7), (2, 2), (3, 3, 3, 3))),
    (9, 24, 1, 33, Window((5, 5), padding=(2, 2, 2, 2))),
    (7, 35, 4, 16, Window((1, 7), (1, 2), (0, 3, 0, 3))),
    (13, 64, 2, 5, Window((3, 11), (2, 4), (0, 2, 1, 5))),
    (12, 9, 3, 64, Window((3, 6), dilation=(2, 1))),
]


def direct(x, weight, window):
    return WINOGRAD_CONV2D.reference(x.transpose(0, 2, 3, 1), weight, window)


def operands(shape, values):
    height, width, depth, channels, window = shape
    return values((2, depth, height, width)), values((channels, *window.kernel, depth)), window


def unscheduled(x, weight, window, isa):
    taps = taps_of(window.kernel[1], window.strides[1])
    laid_out = weights(weight, taps, isa.float_lanes)
    return winograd.conv2d(x.shape, laid_out.shape, window, len(weight)), laid_out


def run(function, arrays, shape):
    result = tvm.runtime.tensor(np.full(shape, 77, np.float32))
    library = tvm.compile(function.with_attr("global_symbol", "main"), target="llvm", tir_pipeline=stack.PIPELINE)
    library["main"](*map(tvm.runtime.tensor, arrays), result)
    return result.numpy()


@pytest.mark.parametrize(
    "isa", [isa for kernel, isa in VARIANTS if kernel is WINOGRAD_CONV2D], ids=lambda isa: isa.name
)
@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=str)
def test_shared_products_are_exact_on_small_integers(isa, shape):
    rng = np.random.default_rng(0)
    # Halves of integers below 2**23 add up exactly in any order.
    x, weight, window = operands(shape, lambda size: rng.integers(-8, 9, size).astype(np.float32))
    function, laid_out = unscheduled(x, weight, window, isa)
    expected = direct(x, weight, window)
    scheduled, choice = schedule_function(function, isa)
    assert choice.kernel == "conv2d_winograd"
    np.testing.assert_array_equal(run(scheduled, [x, laid_out], expected.shape), expected)


def test_the_result_is_as_exact_as_the_plain_sum_up_to_a_factor_of_two():
    rng = np.random.default_rng(1)
    isa = AVX512_VPOPCNTDQ
    shape = (64, 64, 3, 32, Window((7, 7), (2, 2), (3, 3, 3, 3)))
    x, weight, window = operands(shape, lambda size: rng.standard_normal(size).astype(np.float32))
    function, laid_out = unscheduled(x, weight, window, isa)
    exact = direct(x.astype(np.float64), weight.astype(np.float64), window)
    found = run(schedule_function(function, isa)[0], [x, laid_out], exact.shape)
    padded = np.pad(x, ((0, 0), (0, 0), (3, 3), (3, 3)))
    plain = np.zeros(exact.shape, np.float32)
    for row, column, c in itertools.product(range(7), range(7), range(3)):
        tap = padded[:, c, row : row + 63 : 2, column : column + 63 : 2, None]
        plain += tap * weight[:, row, column, c]
    errors = [np.sqrt(((values - exact) ** 2).mean()) for values in (found, plain)]
    assert errors[0] <= 2 * errors[1]


def test_a_hand_worked_row():
    # F(2, 3): d = 1 2 4 8, g = 1 10 100: 1 + 20 + 400 and 2 + 40 + 800.
    x = np.array([1, 2, 4, 8], np.float32).reshape(1, 1, 1, 4)
    weight = np.array([1, 10, 100], np.float32).reshape(1, 1, 3, 1)
    window = Window((1, 3))
    function, laid_out = unscheduled(x, weight, window, NEON)
    # (d1 + d2) 111 / 2, (d2 - d1) 91 / 2; (d0 - d2) 1, (d3 - d1) 100
    np.testing.assert_array_equal(laid_out[0, 0, :, :, 0], [[55.5, 45.5], [1, 100]])
    assert run(schedule_function(function, NEON)[0], [x, laid_out], (1, 1, 2, 1)).ravel().tolist() == [421, 842]


@pytest.mark.parametrize(
    ("kernel", "stride", "triples", "single", "saving"),
    [
        (3, 1, (0,), (), 1.5),
        (7, 2, (0, 1), (6,), 1.4),
        (5, 2, (0,), (1, 3), 1.25),
        (3, 2, (), (0, 2, 1), 1.0),
        (1, 2, (), (0,), 1.0),
        (7, 1, (0, 3), (6,), 1.4),
    ],
)
def test_taps_of_a_row_go_three_at_a_time(kernel, stride, triples, single, saving):
    taps = taps_of(kernel, stride)
    assert (taps.triples, taps.single) == (triples, single)
    assert taps.saving == pytest.approx(saving)


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_the_default_schedule_is_a_point_of_a_space_whose_designs_fit(isa):
    rng = np.random.default_rng(2)
    x, weight, window = operands(CONVOLUTIONS[1], lambda size: rng.standard_normal(size).astype(np.float32))
    function, _ = unscheduled(x, weight, window, isa)
    point = space.default_point(function, isa)
    tvm.ir.assert_structural_equal(point.mod["main"], schedule_function(function, isa)[0])
    layer = layer_of(function, isa)
    for tile in space.designs(layer, isa):
        assert 2 * tile.vectors * (tile.pixels + 1) + 2 <= isa.registers
        assert layer.shape[-2] % tile.pixels == 0
        assert layer.shape[-1] % (tile.lanes * tile.vectors) == 0


@pytest.mark.parametrize(
    ("name", "product", "spill"),
    [
        ("x86-avx512", r"vfmadd231ps\t.*%zmm", r"%rsp.*%zmm|%zmm.*%rsp"),
        ("x86-avx2", r"vfmadd231ps\t.*%ymm", r"%rsp.*%ymm|%ymm.*%rsp"),
        ("rpi4", r"fmla\tv\d+\.4s, v\d+\.4s, v\d+\.s\[\d\]", r"\bq\d+.*\[sp"),
    ],
)
def test_both_sums_stay_in_registers(name, product, spill):
    target = find_target(name)
    shape = (56, 56, 3, 64, Window((7, 7), (2, 2), (3, 3, 3, 3)))
    x, weight, window = operands(shape, np.ones)
    function, _ = unscheduled(x.astype(np.float32), weight.astype(np.float32), window, target.isa)
    scheduled, choice = schedule_function(function, target.isa)
    library = tvm.compile(
        scheduled.with_attr("global_symbol", "main"), target=tvm.target.Target(target.tvm), tir_pipeline=stack.PIPELINE
    )
    blocks = re.split(r"^\.LBB\w+:", str(library.mod.inspect_source("asm")), flags=re.MULTILINE)
    accumulators = 2 * choice.tile.pixels * choice.tile.vectors
    sums = [block for block in blocks if len(re.findall(product, block)) >= accumulators]
    assert len(sums) >= 2
    assert not any(re.search(spill, line) for block in sums for line in block.split("\tj")[0].splitlines())
