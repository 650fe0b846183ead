"""Losses and boxes, on examples that were worked by hand."""

import numpy as np
import pytest
import torch

from experiments.architectures.boxes.anchors import encode
from experiments.data.dataset import Dataset, InMemory
from experiments.metrics.detection import Boxes
from experiments.training.objectives import objective
from experiments.training.objectives.boxes import found_boxes, match, multibox_loss
from schedules.errors import UserError

ANCHORS = torch.tensor([[0.25, 0.25, 0.5, 0.5], [0.75, 0.75, 0.5, 0.5], [0.5, 0.5, 0.1, 0.1]])
OBJECT = Boxes(np.array([[0.0, 0.0, 0.5, 0.6]]), np.array([1]), np.ones(1))


def dataset(task, metric):
    empty = InMemory(np.zeros((0, 1)), np.zeros(0))
    return Dataset("some", task, metric, ("a", "b"), empty, empty)


def test_an_object_is_matched_with_the_anchor_that_it_overlaps():
    labels, offsets = match(OBJECT, ANCHORS)
    assert labels.tolist() == [2, 0, 0]
    # centre 0.05 below in units of 0.1 · 0.5; height ln(0.6 / 0.5) in units of 0.2
    np.testing.assert_allclose(offsets[0], [0, 0.05 / 0.05, 0, np.log(1.2) / 0.2], rtol=1e-5, atol=1e-6)


def test_a_small_object_has_its_best_anchor_all_the_same():
    small = Boxes(np.array([[0.7, 0.7, 0.75, 0.75]]), np.array([0]), np.ones(1))
    assert match(small, ANCHORS)[0].tolist() == [0, 1, 0]


def test_boxes_are_found_where_the_offsets_point():
    wanted = torch.tensor([0.25, 0.3, 0.5, 0.6])
    offsets = torch.zeros(1, 3, 4)
    offsets[0, 0] = encode(wanted, ANCHORS[0])
    logits = torch.full((1, 3, 3), 0.0)
    logits[..., 0], logits[0, 0, 2] = 9.0, 18.0
    (found,) = found_boxes(offsets.numpy(), logits.numpy(), ANCHORS)
    np.testing.assert_allclose(found.corners[0], [0, 0, 0.5, 0.6], atol=1e-6)
    assert found.labels.tolist() == [1]


def test_of_two_boxes_on_the_same_place_one_is_left():
    anchors = ANCHORS[[0, 0]]
    logits = torch.tensor([[[0.0, 5.0, 0.0], [0.0, 4.0, 0.0]]])
    (found,) = found_boxes(np.zeros((1, 2, 4), np.float32), logits.numpy(), anchors)
    assert sorted(found.labels.tolist()) == [0, 1]  # one of each class, not two of the first


def test_the_loss_of_perfect_offsets_is_that_of_the_classes():
    labels, offsets = match(OBJECT, ANCHORS)
    logits = torch.zeros(1, 3, 3)
    # ln 3 for the object, and for the two backgrounds beside it
    value = multibox_loss(offsets[None], logits, ANCHORS, [OBJECT])
    assert value.item() == pytest.approx(3 * np.log(3), rel=1e-6)
    assert labels[0] == 2


def test_parts_need_an_answer_for_every_point():
    with pytest.raises(UserError, match="answers for every point"):
        objective.loss(dataset("points", "miou"), (torch.zeros(2, 2),), np.zeros((2, 5), np.int64), ANCHORS)


def test_a_score_is_learnt_by_squares():
    value = objective.loss(dataset("text", "spearman"), (torch.tensor([[1.0], [3.0]]),), np.array([1.0, 1.0]), ANCHORS)
    assert value.item() == pytest.approx(2.0)
