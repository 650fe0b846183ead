"""Elementary functions against double precision, in units in the last place of float32."""

import numpy as np
import pytest
import tvm
from scipy import special
from tvm import te, tirx

from schedules.lowering import stack

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3e38, -3e38, 88.7, 88.8, -87.4, -103.9], "f4")
# What is exact at zero is measured relative to tiny results too; (function, exact one, most units off).
FUNCTIONS = [
    (tirx.exp, np.exp, 1.5),
    (tirx.sigmoid, special.expit, 2.5),
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
