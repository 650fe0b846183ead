"""What disagrees is explained batch by batch, until so much is not that the verdict stands."""

import numpy as np

from tvm_bnn.front_ends.source import Explanation
from tvm_bnn.verifying.explanation import explain
from tvm_bnn.verifying.parity import compare

RIGHT, FLIPPED, WRONG = [1.0, 10.0], [5.0, 4.0], [7.0, 7.0]


class Reference:
    """Explains what near ties flipped, and is undecided about what it is told to be."""

    def __init__(self, undecided=True):
        self.asked = 0
        self._undecided = undecided

    def undecided(self, inputs, tolerance):
        assert tolerance > 0
        return None if self._undecided is None else np.full(len(inputs[0]), self._undecided)

    def explain(self, inputs, outputs, tolerance):
        self.asked += 1
        del inputs
        answers = np.array([RIGHT if np.allclose(row, RIGHT) else FLIPPED for row in outputs[0]], np.float32)
        apart = np.abs(answers - outputs[0]).max()
        return Explanation([answers], 3) if apart <= tolerance else None


def batches(*rows):
    """Two samples each."""
    return [[np.array(pair, np.float32)] for pair in zip(rows[::2], rows[1::2], strict=True)]


def explained(*rows, undecided=True, yardstick=None):
    reference, outputs, expected = Reference(undecided), batches(*rows), batches(*([RIGHT] * len(rows)))
    parity = compare(outputs, expected, yardstick, (0, 0), "PyTorch", "numbers", "natively")
    parity, settled = explain(reference, outputs, outputs, expected, yardstick, parity)
    return reference.asked, parity, [row.tolist() for batch in settled for row in batch[0]]


def test_batches_that_disagree_are_explained():
    rows = [*[RIGHT] * 34, *[RIGHT, FLIPPED], *[FLIPPED] * 4]
    asked, parity, settled = explained(*rows)
    assert (asked, parity.agreeing, parity.explained, parity.right, parity.near_ties) == (3, 35, 5, 40, 9)
    assert parity.passed
    assert settled == rows


def test_what_is_not_explained_stays_wrong():
    asked, parity, settled = explained(*[RIGHT] * 34, *[FLIPPED] * 2, *[WRONG] * 4)
    # Two samples of forty may differ.
    assert (asked, parity.explained, parity.passed) == (3, 2, False)
    assert settled[34:] == [*[FLIPPED] * 2, *[RIGHT] * 4]


def test_nothing_more_is_asked_once_the_verdict_stands():
    asked, parity, _ = explained(*[WRONG] * 20, *[FLIPPED] * 20)
    assert (asked, parity.explained, parity.passed) == (2, 0, False)


def test_few_samples_about_which_the_reference_is_undecided_need_no_explanation():
    for undecided in (True, None):
        asked, parity, _ = explained(*[RIGHT] * 38, *[WRONG] * 2, undecided=undecided)
        assert (asked, parity.explained, parity.excused, parity.passed) == (0, 0, 2, True)


def test_samples_that_no_rounding_moves_are_explained_or_wrong():
    asked, parity, _ = explained(*[RIGHT] * 38, *[FLIPPED] * 2, undecided=False)
    assert (asked, parity.explained, parity.inexcusable, parity.passed) == (1, 2, 0, True)
    asked, parity, _ = explained(*[RIGHT] * 38, *[WRONG] * 2, undecided=False)
    assert (asked, parity.explained, parity.inexcusable, parity.passed) == (1, 0, 2, False)


def test_samples_on_which_float64_disagrees_may_be_excused():
    rows = [*[RIGHT] * 38, *[WRONG] * 2]
    _, parity, _ = explained(*rows, undecided=False, yardstick=batches(*[RIGHT] * 38, *[FLIPPED] * 2))
    assert (parity.excused, parity.inexcusable, parity.passed) == (2, 0, True)
    _, parity, _ = explained(*rows, undecided=False, yardstick=batches(*[RIGHT] * 37, *[FLIPPED], *[RIGHT] * 2))
    assert (parity.inexcusable, parity.passed) == (2, False)
