"""Softmax, normalisation and sums along rows, against NumPy, in vectors and in what does not fill them."""

import math

import numpy as np
import pytest
import tvm
from scipy import special
from tvm import s_tir, te, topi

from schedules.lowering import stack
from schedules.machines.isa import ISAS
from schedules.templates.loops import schedule_loops
from schedules.templates.rows import schedule_rows

SHAPES = [(3, 64), (2, 5, 128), (1, 2, 7, 16), (4, 40), (2, 3, 33), (2, 2, 24), (1, 64, 256)]


def normalized(x: np.ndarray, axes: tuple[int, ...] = (-1,)) -> np.ndarray:
    centred = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axes, keepdims=True) + 1e-5)


def made(function, shape: tuple[int, ...]) -> tuple[te.Tensor, te.Tensor]:
    x = te.placeholder(shape, "float32", name="x")
    return x, function(x)


def layer_norm(x: te.Tensor, axes: int = 1) -> te.Tensor:
    ones, zeros = (topi.full(x.shape[-axes:], "float32", value) for value in (1.0, 0.0))
    return topi.nn.layer_norm(x, ones, zeros, [*range(len(x.shape) - axes, len(x.shape))], 1e-5)


def mean_magnitude(x: te.Tensor) -> te.Tensor:
    """A sample's, as a residual binarization wants it."""
    axes = list(range(1, len(x.shape)))
    count = math.prod(int(x.shape[axis]) for axis in axes)
    return topi.divide(topi.sum(topi.abs(x), axes, keepdims=True), float(count))


def centred(x: te.Tensor) -> te.Tensor:
    count = float(int(x.shape[-1]) * int(x.shape[-2]))
    return topi.subtract(x, topi.divide(topi.sum(x, (-2, -1), keepdims=True), count))


FUNCTIONS = [
    (lambda x: topi.nn.softmax(x, -1), lambda x: special.softmax(x, -1)),
    (lambda x: topi.sum(x, -1), lambda x: x.sum(-1)),
    (lambda x: topi.sum(x, -1, keepdims=True), lambda x: x.sum(-1, keepdims=True)),
    (lambda x: topi.max(x, -1), lambda x: x.max(-1)),
    (lambda x: topi.divide(topi.sum(x, -1), 7.0), lambda x: x.sum(-1) / 7),
    (layer_norm, normalized),
    (lambda x: layer_norm(x, 2), lambda x: normalized(x, (-2, -1))),
    (lambda x: topi.sum(x, (-2, -1)), lambda x: x.sum((-2, -1))),
    (lambda x: topi.sum(x, None), lambda x: x.sum()),
    (lambda x: topi.divide(topi.sum(x, None), 7.0), lambda x: x.sum() / 7),
    (lambda x: topi.sum(x, None, keepdims=True), lambda x: x.sum(keepdims=True)),
    (mean_magnitude, lambda x: np.abs(x).mean(tuple(range(1, x.ndim)), keepdims=True)),
    (centred, lambda x: x - x.mean((-2, -1), keepdims=True)),
    (lambda x: topi.sum(x, 0), lambda x: x.sum(0)),
]


@pytest.mark.parametrize(("function", "exact"), FUNCTIONS[:-1])
def test_rows_are_shared_out_to_threads(function, exact):
    check(function, exact, (1024, 1024), 16)


@pytest.mark.parametrize("lanes", [4, 16])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("function", "exact"), FUNCTIONS)
def test_rows_are_reduced_as_numpy_does(function, exact, shape, lanes):
    check(function, exact, shape, lanes)


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
@pytest.mark.parametrize("axes", [(1,), (1, 2), (1, 2, 3)], ids=str)
def test_a_long_sum_is_as_exact_as_partial_sums_make_it(axes, isa):
    """One large number and many small ones, each of which is lost on a sum of the size of the large one."""
    length = 1 << 15
    shape = (2, *(2,) * (len(axes) - 1), length >> (len(axes) - 1))
    x = np.full(shape, 2.0**-25, np.float32)
    x[:, *(0,) * len(axes)] = 1
    expected = x.sum(axes, dtype=np.float64)
    assert np.cumsum(x[0].ravel())[-1] == 1, "one sum loses them all"
    found = computed(lambda x: topi.sum(x, list(axes)), x, expected.shape, isa.float_lanes)
    # What the large number's own partial sum loses, and a rounding for each of the partial sums.
    assert np.abs(found - expected).max() <= (expected.max() - 1) / isa.float_lanes + isa.float_lanes * 8 * 2.0**-24


def check(function, exact, shape: tuple[int, ...], lanes: int) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = exact(x.astype(np.float64))
    np.testing.assert_allclose(computed(function, x, expected.shape, lanes), expected, rtol=1e-5, atol=1e-4)


def computed(function, x: np.ndarray, shape: tuple[int, ...], lanes: int) -> np.ndarray:
    """Return what the scheduled function makes of x."""
    schedule = s_tir.Schedule(te.create_prim_func(list(made(function, x.shape))))
    schedule_loops(schedule, lanes)
    library = tvm.compile(schedule.mod["main"], target="llvm", tir_pipeline=stack.PIPELINE)
    result = tvm.runtime.tensor(np.full(shape, 77, np.float32))
    library["main"](tvm.runtime.tensor(x), result)
    return result.numpy()


@pytest.mark.parametrize(
    ("function", "shape", "fits"),
    [
        (lambda x: topi.nn.softmax(x, -1), (3, 64), True),
        (lambda x: topi.nn.softmax(x, -1), (3, 40), False),
        (lambda x: topi.nn.softmax(x, 0), (64, 64), False),
        (topi.nn.relu, (3, 64), False),
        (lambda x: topi.sum(x, (0, 1)), (3, 64), True),
        (lambda x: topi.sum(x, (1, 2)), (2, 2, 24), True),
        (lambda x: topi.sum(x, (1, 2)), (2, 3, 24), False),
        (lambda x: topi.sum(x, (0, 2)), (2, 3, 64), False),
        (lambda x: topi.sum(x, (0, 1)), (2, 3, 64), False),
        (lambda x: topi.matmul(x, x), (64, 64), False),
        (lambda x: topi.matmul(x, x, transp_b=True), (64, 64), False),
    ],
)
def test_what_does_not_reduce_whole_vectors_of_a_row_is_left_to_plain_loops(function, shape, fits):
    schedule = s_tir.Schedule(te.create_prim_func(list(made(function, shape))))
    assert schedule_rows(schedule, 16) == fits
