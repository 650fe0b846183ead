"""Softmax, normalisation and sums along rows, against NumPy, in vectors and in what does not fill them."""

import numpy as np
import pytest
import tvm
from scipy import special
from tvm import s_tir, te, topi

from schedules import stack
from schedules.loops import schedule_loops
from schedules.rows import schedule_rows

SHAPES = [(3, 64), (2, 5, 128), (1, 2, 7, 16), (4, 40), (2, 3, 33)]


def normalized(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)


def made(function, shape: tuple[int, ...]) -> tuple[te.Tensor, te.Tensor]:
    x = te.placeholder(shape, "float32", name="x")
    return x, function(x)


def layer_norm(x: te.Tensor) -> te.Tensor:
    ones, zeros = (topi.full((x.shape[-1],), "float32", value) for value in (1.0, 0.0))
    return topi.nn.layer_norm(x, ones, zeros, [len(x.shape) - 1], 1e-5)


FUNCTIONS = [
    (lambda x: topi.nn.softmax(x, -1), lambda x: special.softmax(x, -1)),
    (lambda x: topi.sum(x, -1), lambda x: x.sum(-1)),
    (lambda x: topi.sum(x, -1, keepdims=True), lambda x: x.sum(-1, keepdims=True)),
    (lambda x: topi.max(x, -1), lambda x: x.max(-1)),
    (lambda x: topi.divide(topi.sum(x, -1), 7.0), lambda x: x.sum(-1) / 7),
    (layer_norm, normalized),
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


def check(function, exact, shape: tuple[int, ...], lanes: int) -> None:
    schedule = s_tir.Schedule(te.create_prim_func(list(made(function, shape))))
    schedule_loops(schedule, lanes)
    library = tvm.compile(schedule.mod["main"], target="llvm", tir_pipeline=stack.PIPELINE)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = exact(x.astype(np.float64))
    result = tvm.runtime.tensor(np.full(expected.shape, 77, np.float32))
    library["main"](tvm.runtime.tensor(x), result)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("function", "shape", "fits"),
    [
        (lambda x: topi.nn.softmax(x, -1), (3, 64), True),
        (lambda x: topi.nn.softmax(x, -1), (3, 40), False),
        (lambda x: topi.nn.softmax(x, 0), (64, 64), False),
        (topi.nn.relu, (3, 64), False),
        (lambda x: topi.sum(x, (0, 1)), (3, 64), False),
        (lambda x: topi.matmul(x, x), (64, 64), False),
        (lambda x: topi.matmul(x, x, transp_b=True), (64, 64), False),
    ],
)
def test_what_does_not_reduce_whole_vectors_of_a_row_is_left_to_plain_loops(function, shape, fits):
    schedule = s_tir.Schedule(te.create_prim_func(list(made(function, shape))))
    assert schedule_rows(schedule, 16) == fits
