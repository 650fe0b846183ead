"""Elementary functions against double precision, in units in the last place of float32."""

import numpy as np
import pytest
import torch
import tvm
from scipy import special
from tvm import te, tirx

from schedules.lowering import stack

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3e38, -3e38, 88.7, 88.8, -87.4, -103.9], "f4")


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Zero where the exponential of PyTorch's formula is infinite, though there are smaller numbers."""
    return np.where(x <= -88.72283935546875, 0.0, special.expit(x))


# What is exact at zero is measured relative to tiny results too; (function, exact one, most units off).
FUNCTIONS = [
    (tirx.exp, np.exp, 1.5),
    (tirx.sigmoid, sigmoid, 2.5),
    (tirx.tanh, np.tanh, 2.5),
    (tirx.erf, special.erf, 2.5),
]


def computed(function, x: np.ndarray, lanes: int) -> np.ndarray:
    """Return the function of a number of values that ``lanes`` divides."""
    a = te.placeholder(x.shape, "float32", name="a")
    schedule = tvm.s_tir.Schedule(te.create_prim_func([a, te.compute(x.shape, lambda i: function(a[i]), name="y")]))
    if lanes > 1:
        _, lane = schedule.split(schedule.get_loops(schedule.get_sblock("y"))[0], [None, lanes])
        schedule.vectorize(lane)
    library = tvm.compile(schedule.mod["main"], target="llvm", tir_pipeline=stack.PIPELINE)
    result = tvm.runtime.tensor(np.empty_like(x))
    library["main"](tvm.runtime.tensor(x), result)
    return result.numpy()


def inputs(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    spread = rng.choice([-1, 1], count // 2) * np.exp(rng.uniform(np.log(1e-6), np.log(110), count // 2))
    x = np.concatenate([rng.uniform(-10, 10, count // 2), spread]).astype(np.float32)
    x[: len(SPECIAL)] = SPECIAL
    return x


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize(("function", "exact", "most"), FUNCTIONS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_function_is_within_a_few_units_in_the_last_place(function, exact, most, lanes):
    x = inputs(1 << 18)
    with np.errstate(over="ignore"):
        expected = exact(x.astype(np.float64))
        rounded = expected.astype(np.float32)
    found = computed(function, x, lanes)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(found[~finite], rounded[~finite])
    units = np.abs(found[finite].astype(np.float64) - expected[finite]) / np.spacing(np.abs(rounded[finite]))
    assert units.max() <= most, f"{units.max():.2f} units off at {x[finite][units.argmax()]!r}"


def test_vectors_call_no_library():
    a = te.placeholder((64,), "float32", name="a")
    y = te.compute((64,), lambda i: tirx.erf(a[i]) + tirx.tanh(a[i]) * tirx.sigmoid(a[i]), name="y")
    schedule = tvm.s_tir.Schedule(te.create_prim_func([a, y]))
    _, lane = schedule.split(schedule.get_loops(schedule.get_sblock("y"))[0], [None, 16])
    schedule.vectorize(lane)
    library = tvm.compile(schedule.mod["main"], target="llvm", tir_pipeline=stack.PIPELINE)
    assembly = getattr(library, "mod", library).inspect_source("asm")
    assert not any(name in assembly for name in ("expf", "erff", "tanhf"))


#: Where PyTorch's functions reach their last values; beyond, there is nothing else.
ENDS = [
    (tirx.exp, torch.exp, 88.72283935546875),
    (tirx.exp, torch.exp, -103.97208404541016),
    (tirx.sigmoid, torch.sigmoid, 16.63553237915039),
    (tirx.sigmoid, torch.sigmoid, -88.72283935546875),
    (tirx.tanh, torch.tanh, 9.01084041595459),
    (tirx.tanh, torch.tanh, -9.01084041595459),
    (tirx.erf, torch.erf, 3.927734375),
    (tirx.erf, torch.erf, -3.927734375),
]


def is_last(values: np.ndarray) -> np.ndarray:
    return (values == 0) | (np.abs(values) == 1) | np.isinf(values)


@pytest.mark.parametrize(("function", "theirs", "end"), ENDS, ids=lambda value: getattr(value, "__name__", value))
def test_a_function_ends_where_pytorchs_does(function, theirs, end):
    around = np.float32(end).view(np.uint32) + np.arange(-4096, 4096, dtype=np.int64)
    x = around.astype(np.uint32).view(np.float32)
    expected = theirs(torch.from_numpy(x)).numpy()
    assert is_last(expected).tolist() == [False] * 4096 + [True] * 4096
    np.testing.assert_array_equal(is_last(computed(function, x, 16)), is_last(expected))
    # Whatever a vector leaves over ends there as well.
    alone = np.array([theirs(torch.from_numpy(x[index : index + 1])).item() for index in (4095, 4096)])
    assert is_last(alone).tolist() == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "theirs"), [ENDS[0][:2], ENDS[2][:2], ENDS[4][:2], ENDS[6][:2]], ids=lambda value: value.__name__
)
def test_every_float_has_its_last_value_where_it_has_one_in_pytorch(function, theirs):
    chunk = 1 << 24
    for start in range(0, 1 << 32, chunk):
        x = np.arange(start, start + chunk, dtype=np.uint32).view(np.float32)
        found, expected = computed(function, x, 16), theirs(torch.from_numpy(x)).numpy()
        np.testing.assert_array_equal(is_last(found), is_last(expected), err_msg=f"from {x[0]!r} on")
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
