import numpy as np
import pytest

from tvm_bnn.verifying.parity import MOST_EXCUSED, TOLERANCE, compare, permitted


def batches(*rows):
    return [[np.array([row], np.float32)] for row in rows]


EXPECTED = batches(*([[1.0, 10.0]] * 200))


def verdict(outputs, yardstick=None):
    return compare(outputs, EXPECTED, yardstick, (0, 0), "PyTorch", "numbers", "natively")


def test_rounding_is_tolerated_relative_to_the_largest_output():
    parity = verdict(batches(*([[1.0 + 9 * TOLERANCE, 10.0]] * 200)))
    assert parity.passed
    assert parity.tolerance == pytest.approx(10 * TOLERANCE)
    assert parity.argmax_agreement == 1


def test_one_sample_in_twenty_may_differ_because_a_sign_flipped():
    right, flipped = [1.0, 10.0], [5.0, 4.0]
    parity = verdict(batches(*[right] * 190, *[flipped] * 10))
    assert parity.passed
    assert parity.agreeing == 190
    assert parity.argmax_agreement == 0.95
    assert not verdict(batches(*[right] * 189, *[flipped] * 11)).passed


def test_a_model_that_pytorch_itself_cannot_repeat_is_excused_twice_as_often():
    right, flipped = [1.0, 10.0], [5.0, 4.0]
    outputs = batches(*[flipped] * 40, *[right] * 160)
    assert not verdict(outputs).passed
    assert verdict(outputs, yardstick=batches(*[flipped] * 20, *[right] * 180)).passed
    assert not verdict(outputs, yardstick=batches(*[flipped] * 19, *[right] * 181)).passed


def test_no_model_is_so_delicate_that_more_than_a_quarter_is_excused():
    right, flipped = [1.0, 10.0], [5.0, 4.0]
    yardstick = batches(*[flipped] * 120, *[right] * 80)
    assert verdict(batches(*[flipped] * 50, *[right] * 150), yardstick).passed
    assert not verdict(batches(*[flipped] * 51, *[right] * 149), yardstick).passed
    assert permitted(EXPECTED, yardstick)[1] == MOST_EXCUSED


def test_what_is_not_finite_where_the_reference_is_fails_whatever_is_allowed():
    right = [1.0, 10.0]
    for value in (np.nan, np.inf, -np.inf):
        outputs = batches([value, 10.0], *[right] * 199)
        assert verdict(outputs).broken == 1
        assert not verdict(outputs).passed
        assert not inexact(outputs).passed


def test_what_is_not_finite_in_both_agrees_if_it_is_the_same():
    expected = batches([np.nan, 10.0], [np.inf, 10.0], [-np.inf, 10.0])
    assert compare(expected, expected, None, (0, 0), "", "", "").agreeing == 3
    other = batches([np.nan, 10.0], [-np.inf, 10.0], [1.0, 10.0])
    parity = compare(other, expected, None, (0, 0), "", "", "")
    assert (parity.agreeing, parity.tolerance) == (1, pytest.approx(10 * TOLERANCE))


def inexact(outputs):
    return compare(outputs, EXPECTED, None, (0, 0), "PyTorch", "numbers", "natively", exact=False)


def test_a_model_that_is_inexact_by_choice_is_judged_by_its_relative_error():
    parity = inexact(batches(*[[1.0, 10.0]] * 100, *[[1.0, 11.0]] * 100))
    assert parity.relative_error == pytest.approx(np.sqrt(100 / (200 * 101)))
    assert parity.agreeing == 100
    assert parity.passed
    assert not verdict(batches(*[[1.0, 10.0]] * 100, *[[1.0, 11.0]] * 100)).passed


def test_outputs_that_have_nothing_to_do_with_the_references_are_refused_all_the_same():
    assert not inexact(batches(*[[10.0, 1.0]] * 200)).passed
    assert not inexact(batches(*[[0.0, 0.0]] * 200)).passed
    assert not inexact(batches(*[[np.nan, 10.0]] * 200)).passed


def test_nan_never_agrees():
    parity = verdict(batches(*([[np.nan, 10.0]] * 200)))
    assert parity.agreeing == 0
    assert not parity.passed
    assert parity.max_difference == np.inf


def test_outputs_that_are_no_classes_have_no_predictions():
    images = [[np.zeros((2, 3, 4, 4), np.float32)]]
    parity = compare(images, images, None, (0, 0), "PyTorch", "images", "natively")
    assert parity.argmax_agreement is None
    assert parity.samples == 2
