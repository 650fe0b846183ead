"""Inputs to verify on are looked at before anything is compiled."""

import numpy as np
import pytest

from schedules.errors import UserError
from tvm_bnn.artifacts.artifact import TensorSpec
from tvm_bnn.verifying.samples import Samples

X, Y = TensorSpec("x", (2, 3), "float32"), TensorSpec("y", (2,), "int64")
SCORES = (TensorSpec("output0", (2, 10), "float32"),)
ROWS, NUMBERS = np.ones((6, 3), np.float32), np.arange(6)


def with_value(value):
    rows = ROWS.copy()
    rows[4, 1] = value
    return rows


@pytest.mark.parametrize(
    ("samples", "complaint"),
    [
        (
            Samples((with_value(np.nan), NUMBERS), "s"),
            "1 of 6 samples for 'x' hold NaN or .* number 4",
        ),
        (Samples((with_value(-np.inf), NUMBERS), "s"), "hold NaN or infinity"),
        (Samples((ROWS,), "s"), "1 arrays; the model takes 2"),
        (Samples((ROWS[:5], NUMBERS[:5]), "s"), "a multiple of 2"),
        (Samples((ROWS, NUMBERS[:4]), "s"), "different numbers of batches"),
        (Samples((ROWS, NUMBERS.astype("int32")), "s"), "dtype int32 for 'y'; expected int64"),
        (Samples((ROWS, NUMBERS), "s", names=("x", "z")), "the model has no input 'z'; it takes 'x', 'y'"),
        (Samples((ROWS, NUMBERS), "s", np.arange(5)), r"labels of shape \(5,\) for 6 samples"),
        (Samples((ROWS, NUMBERS), "s", np.zeros((6, 1), int)), r"labels of shape \(6, 1\)"),
        (Samples((ROWS, NUMBERS), "s", np.zeros(6)), "labels are float64"),
        (Samples((ROWS, NUMBERS), "s", np.full(6, 10)), "label 10 is none of the model's 10 classes"),
        (Samples((ROWS, NUMBERS), "s", np.full(6, -1)), "label -1"),
    ],
)
def test_samples_that_do_not_fit_are_refused(samples, complaint):
    with pytest.raises(UserError, match=complaint) as caught:
        samples.fitted((X, Y), SCORES)
    assert "\n" not in str(caught.value)


def test_labels_are_for_models_that_classify():
    images = (TensorSpec("output0", (2, 3, 4, 4), "float32"),)
    with pytest.raises(UserError, match=r"an output \(N, classes\)"):
        Samples((ROWS, NUMBERS), "s", np.zeros(6, int)).fitted((X, Y), images)


@pytest.mark.parametrize("names", [(), ("arr_0", "arr_1"), ("x", "y")])
def test_arrays_without_the_inputs_names_are_in_order(names):
    fitted = Samples((ROWS, NUMBERS), "s", np.zeros(6, int), names).fitted((X, Y), SCORES)
    assert [value.ndim for value in fitted.arrays] == [2, 1]


def test_arrays_with_the_inputs_names_are_taken_by_name():
    fitted = Samples((NUMBERS, ROWS), "s", names=("y", "x")).fitted((X, Y), SCORES)
    assert [value.ndim for value in fitted.arrays] == [2, 1]
