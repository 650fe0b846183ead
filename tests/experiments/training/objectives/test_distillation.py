"""What a teacher adds to the loss, by task: nothing where the student is as sure of the same, something elsewhere."""

import numpy as np
import pytest
import torch

from experiments.data.dataset import Dataset, InMemory
from experiments.training.objectives.distillation import distilled


def dataset(task, metric):
    empty = InMemory(np.zeros((0, 1)), np.zeros(0))
    return Dataset("some", task, metric, ("a", "b"), empty, empty)


CLASSES = dataset("image", "accuracy")
BOXES = dataset("detection", "map")


def test_a_student_that_is_sure_of_what_its_teacher_is_sure_of_has_no_loss():
    sure = (torch.tensor([[50.0, 0.0]]),)
    assert distilled(CLASSES, sure, sure).item() == pytest.approx(0, abs=1e-6)
    assert distilled(CLASSES, (torch.zeros(1, 2),), sure).item() == pytest.approx(np.log(2), rel=1e-6)


def sure_boxes():
    """Return one box that is seen, one anchor of background."""
    return torch.tensor([[[1.0, 2, 3, 4], [0, 0, 0, 0]]]), torch.tensor([[[0.0, 50, 0], [50, 0, 0]]])


def test_boxes_count_where_the_teacher_sees_anything():
    offsets, logits = sure_boxes()
    assert distilled(BOXES, (offsets, logits), (offsets, logits)).item() == pytest.approx(0, abs=1e-6)
    seen, background = offsets.clone(), offsets.clone()
    seen[0, 0, 0] += 2  # smooth L1: 2 - 1/2
    background[0, 1] += 2
    assert distilled(BOXES, (seen, logits), (offsets, logits)).item() == pytest.approx(1.5, rel=1e-5)
    assert distilled(BOXES, (background, logits), (offsets, logits)).item() == pytest.approx(0, abs=1e-6)


def test_both_stages_of_a_detector_count():
    offsets, logits = sure_boxes()
    teacher = (torch.tensor([[[50.0], [-50.0]]]), offsets, logits, offsets)
    assert distilled(BOXES, teacher, teacher).item() == pytest.approx(0, abs=1e-6)
    for index in range(4):
        student = [value.clone() for value in teacher]
        student[index][0, 0] = 0
        assert distilled(BOXES, tuple(student), teacher).item() > 0.1


def test_scores_and_mattes_are_held_against_the_teachers():
    scores = dataset("text", "spearman")
    assert distilled(scores, (torch.tensor([[1.0]]),), (torch.tensor([[3.0]]),)).item() == pytest.approx(4)
    mattes = dataset("matting", "matting")
    clear = torch.zeros(1, 1, 1, 4, 4), torch.full((1, 1, 1, 2, 2), -50.0)
    opaque = torch.ones(1, 1, 1, 4, 4), torch.full((1, 1, 1, 2, 2), 50.0)
    assert distilled(mattes, clear, clear).item() == pytest.approx(0, abs=1e-6)
    assert distilled(mattes, clear, opaque).item() > 1
