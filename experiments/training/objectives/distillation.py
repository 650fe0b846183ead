"""What a full-precision teacher's answers add to the loss, by task."""

from __future__ import annotations

import torch
from torch.nn import functional

from experiments.data.dataset import Dataset
from experiments.training.objectives.objective import Outputs, matting_loss

#: Outputs of a detector of two stages; one of one stage has two.
_TWO_STAGES = 4


def distilled(dataset: Dataset, student: Outputs, teacher: Outputs) -> torch.Tensor:
    """Return how far a student's outputs are from its teacher's.

    Of classes −Σ p_teacher·log p_student, the mean over samples and places (ReActNet's distributional loss, ECCV 2020);
    of a detector's boxes smooth L1 as well, where the teacher sees anything; of a score the squared difference; of
    mattes the loss with the teacher's matte for the truth.
    """
    if dataset.task == "detection":
        return _of_boxes(student, teacher)
    if dataset.task == "matting":
        return matting_loss(student, teacher[0])
    if dataset.metric == "spearman":
        return functional.mse_loss(student[0].flatten(), teacher[0].flatten())
    return _of_classes(student[0], teacher[0], 1)


def _of_classes(student: torch.Tensor, teacher: torch.Tensor, axis: int) -> torch.Tensor:
    return -(teacher.softmax(axis) * student.log_softmax(axis)).sum(axis).mean()


def _of_boxes(student: Outputs, teacher: Outputs) -> torch.Tensor:
    """Sum all stages; class 0 is background, where boxes mean nothing."""
    losses = []
    for (offsets, classes), (wanted, taught) in zip(_stages(student), _stages(teacher), strict=True):
        seen = 1 - taught.softmax(-1)[..., 0]
        located = (seen * functional.smooth_l1_loss(offsets, wanted, reduction="none").sum(-1)).sum()
        losses.append(_of_classes(classes, taught, -1) + located / seen.sum().clamp_min(1))
    return torch.stack(losses).sum()


def _stages(outputs: Outputs) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the offsets ``(..., 4)`` and class logits ``(..., classes + 1)`` of each stage."""
    if len(outputs) < _TWO_STAGES:
        return [(outputs[0], outputs[1])]
    objectness, offsets, logits, boxes = outputs[:_TWO_STAGES]
    return [(offsets, torch.cat([torch.zeros_like(objectness), objectness], -1)), (boxes, logits)]
