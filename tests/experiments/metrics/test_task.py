"""The tasks' metrics, on examples that were worked by hand."""

import numpy as np
import pytest

from experiments.metrics import task


def test_accuracy_is_in_percent():
    assert task.accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0])) == 75.0


def test_matthews_of_two_by_two_counts():
    labels, predicted = np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 0, 1])
    # tp 2, tn 1, fp 1, fn 1: (2·1 − 1·1) / √(3·3·2·2)
    assert task.matthews(labels, predicted) == pytest.approx(100 / 6)


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    assert task.f1(np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])) == 50.0


def test_spearman_sees_order_only():
    assert task.spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 100.0, 1000.0])) == pytest.approx(100.0)


def test_mean_iou_leaves_out_classes_that_do_not_occur():
    labels, predicted = np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 1]])
    # class 0: 1/2; class 1: 2/3; class 2 is nowhere
    assert task.mean_iou(labels, predicted, 3) == pytest.approx(100 * (1 / 2 + 2 / 3) / 2)


def test_a_matte_that_is_off_by_a_tenth():
    alpha = np.zeros((1, 1, 2, 2), np.float32)
    assert task.mean_absolute_difference(alpha, alpha + np.float32(0.1)) == pytest.approx(100.0, rel=1e-6)
    assert task.matting_score(alpha, alpha + np.float32(0.1)) == pytest.approx(90.0, rel=1e-6)
