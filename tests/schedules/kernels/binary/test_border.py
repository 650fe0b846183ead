"""Constants of every kind of position against convolutions of ones."""

import numpy as np
import pytest
import tvm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tvm import te

from relay_passes.dialect import class_attribute
from schedules.kernels import reference
from schedules.kernels.binary.border import at_border, sums_within
from schedules.kernels.window import Window

EDGES = st.integers(0, 2)


def everywhere(table, axes):
    """``table`` at each position, as compiled code reads it."""
    placeholder = te.placeholder(table.shape, str(table.dtype), name="table")
    out = at_border(placeholder, axes)
    function = te.create_prim_func([placeholder, out]).with_attr("tirx.noalias", True)
    found = np.empty([int(extent) for extent in out.shape], table.dtype)
    result = tvm.runtime.tensor(found)
    tvm.compile(tvm.IRModule({"main": function}), target="llvm")["main"](tvm.runtime.tensor(table), result)
    return result.numpy()


def of_ones(weight, window, height, width):
    return reference.conv2d(np.ones((1, height, width, weight.shape[3])), weight, window)


def classes(window, height, width):
    return tuple(tuple(class_attribute(axis)) for axis in window.axes(height, width))


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 2)),
    st.tuples(EDGES, EDGES, EDGES, EDGES),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.tuples(st.integers(5, 9), st.integers(5, 9)),
    st.integers(0, 1000),
)
def test_every_position_has_the_sum_of_its_kind(kernel, strides, padding, dilation, size, seed):
    window = Window(kernel, strides, padding, dilation)
    vertical, horizontal = window.axes(*size)
    assume(vertical.out > 0)
    assume(horizontal.out > 0)
    weight = np.random.default_rng(seed).standard_normal((3, *kernel, 2))
    table = sums_within(weight, window, *size)
    assert table.shape[:2] == (vertical.border_classes, horizontal.border_classes)
    np.testing.assert_allclose(everywhere(table, classes(window, *size)), of_ones(weight, window, *size), atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (40, 33)])
def test_a_3x3_window_has_at_most_nine_kinds_of_position(size):
    window = Window((3, 3), padding=(1, 1, 1, 1))
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 5))
    table = sums_within(weight, window, *size)
    assert table.shape[0] * table.shape[1] <= 9
    np.testing.assert_allclose(everywhere(table, classes(window, *size)), of_ones(weight, window, *size), atol=1e-12)
