"""What training minimises, and how good a network's outputs are, by task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.nn import functional

from experiments.data.dataset import Array, Dataset
from experiments.metrics import task as metrics
from schedules.errors import UserError

Output: TypeAlias = Any
"""What a network returns: a tensor, or a tuple of them."""


def loss(dataset: Dataset, output: Output, targets: Any) -> torch.Tensor:
    """Return the mean loss of a batch.

    Cross-entropy over classes, for every point where there are parts; squares for a score; |difference| for mattes.

    Raises
    ------
    UserError
        If the network answers once a sample, and the data asks for every point.
    """
    first = primary(output)
    wanted = torch.from_numpy(np.ascontiguousarray(targets))
    if dataset.task == "matting":
        return functional.l1_loss(first, wanted)
    if dataset.metric == "spearman":
        return functional.mse_loss(first.flatten(), wanted.float())
    if wanted.ndim != first.ndim - 1:
        raise UserError(
            f"data '{dataset.name}': its targets have shape {tuple(wanted.shape)}, and the network's output"
            f" {tuple(first.shape)} does not fit: take an architecture that answers for every point"
        )
    return functional.cross_entropy(first, wanted)


def primary(output: Output) -> torch.Tensor:
    """Return a network's first output: further ones are states."""
    found: torch.Tensor = output if isinstance(output, torch.Tensor) else output[0]
    return found


def distilled(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return −Σ p_teacher·log p_student, the mean over the batch (ReActNet, ECCV 2020, eq. 10)."""
    return -(teacher.softmax(1) * student.log_softmax(1)).sum(1).mean()


def score(dataset: Dataset, outputs: Sequence[Array], targets: Sequence[Any]) -> float:
    """Return the data set's metric, in percent, of a network's first outputs, batch by batch.

    Raises
    ------
    ValueError
        If the metric is unknown.
    """
    if dataset.task == "matting":
        return metrics.matting_score(np.concatenate(list(targets)), np.concatenate(list(outputs)))
    wanted, found = np.concatenate(list(targets)), np.concatenate(list(outputs))
    if dataset.metric == "spearman":
        return metrics.spearman(wanted, found.ravel())
    if dataset.metric == "miou":
        return metrics.mean_iou(wanted, found.argmax(1), len(dataset.classes))
    return _OF_CLASSES[dataset.metric](wanted, found.argmax(1))


_OF_CLASSES: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": metrics.accuracy,
    "matthews": metrics.matthews,
    "f1": metrics.f1,
}
