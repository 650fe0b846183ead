"""What disagrees is explained batch by batch, until so much is not that the verdict stands."""

import numpy as np

from tvm_bnn.front_ends.source import Explanation
from tvm_bnn.verifying.explanation import explain
from tvm_bnn.verifying.parity import compare

RIGHT, FLIPPED, WRONG = [1.0, 10.0], [5.0, 4.0], [7.0, 7.0]


class Reference:
    """Explains what near ties flipped."""

    def __init__(self):
        self.asked = 0

    def explain(self, inputs, outputs, tolerance):
        self.asked += 1
        del inputs
        answers = np.array([RIGHT if np.allclose(row, RIGHT) else FLIPPED for row in outputs[0]], np.float32)
        apart = np.abs(answers - outputs[0]).max()
        return Explanation([answers], 3) if apart <= tolerance else None


def batches(*rows):
    """Two samples each."""
    return [[np.array(pair, np.float32)] for pair in zip(rows[::2], rows[1::2], strict=True)]


def explained(*rows):
    reference, outputs, expected = Reference(), batches(*rows), batches(*([RIGHT] * len(rows)))
    parity = compare(outputs, expected, None, (0, 0), "PyTorch", "numbers", "natively")
    assert not parity.passed
    parity, settled = explain(reference, outputs, outputs, expected, parity)
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
