"""Average precision, on examples that were worked by hand."""

import numpy as np
import pytest

from experiments.metrics.detection import Boxes, iou, mean_average_precision


def boxes(*rows, scores=None):
    corners = np.array([row[:4] for row in rows], float).reshape(-1, 4)
    labels = np.array([row[4] for row in rows], int)
    return Boxes(corners, labels, np.array(scores if scores is not None else [1.0] * len(rows)))


def test_overlap_of_two_squares_that_share_a_quarter():
    a, b = np.array([[0, 0, 2, 2.0]]), np.array([[1, 1, 3, 3.0], [5, 5, 6, 6.0]])
    np.testing.assert_allclose(iou(a, b), [[1 / 7, 0]])


def test_perfect_boxes_give_all():
    truth = [boxes((0, 0, 1, 1, 0), (2, 2, 4, 4, 1))]
    assert mean_average_precision(truth, truth, 2) == 100.0


def test_a_false_alarm_before_the_hit_halves_the_precision():
    truth = [boxes((0, 0, 1, 1, 0))]
    found = [boxes((5, 5, 6, 6, 0), (0, 0, 1, 1, 0), scores=[0.9, 0.8])]
    assert mean_average_precision(truth, found, 1) == 50.0


def test_a_second_box_on_the_same_object_is_false():
    truth = [boxes((0, 0, 1, 1, 0), (9, 9, 10, 10, 0))]
    found = [boxes((0, 0, 1, 1, 0), (0, 0, 1, 1, 0), scores=[0.9, 0.8])]
    assert mean_average_precision(truth, found, 1) == 50.0


def test_a_class_that_is_never_found_counts_as_nothing():
    truth = [boxes((0, 0, 1, 1, 0), (0, 0, 1, 1, 1))]
    found = [boxes((0, 0, 1, 1, 0))]
    assert mean_average_precision(truth, found, 2) == 50.0


def test_images_without_objects_have_no_average_precision():
    with pytest.raises(ValueError, match="no object"):
        mean_average_precision([boxes()], [boxes()], 1)


def test_a_difficult_object_need_not_be_found_and_may_be():
    truth = [boxes((0, 0, 1, 1, 0), (9, 9, 10, 10, 0))]
    ignoring = Boxes(truth[0].corners, truth[0].labels, truth[0].scores, np.array([False, True]))
    easy, both = boxes((0, 0, 1, 1, 0)), boxes((9, 9, 10, 10, 0), (0, 0, 1, 1, 0), scores=[0.9, 0.8])
    assert mean_average_precision([ignoring], [easy], 1) == 100.0
    assert mean_average_precision([ignoring], [both], 1) == 100.0
