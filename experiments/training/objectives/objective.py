"""What training minimises, and how good a network's outputs are, by task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from experiments.data.dataset import Array, Dataset
from experiments.metrics import task as metrics
from experiments.metrics.coco import coco_map
from experiments.metrics.detection import Boxes, mean_average_precision
from experiments.training.objectives.boxes import found_boxes, multibox_loss
from experiments.training.objectives.regions import two_stage_loss
from schedules.errors import UserError

Outputs: TypeAlias = tuple[torch.Tensor, ...]
#: Outputs of a detector of two stages, with the regions that it was given.
_TWO_STAGES = 5


def outputs_of(returned: Any) -> Outputs:
    """Return what a network returned as a tuple."""
    return (returned,) if isinstance(returned, torch.Tensor) else tuple(returned)


def anchors_of(model: nn.Module) -> torch.Tensor:
    """Return a detector's anchors, nothing of other networks."""
    found = dict(model.named_buffers()).get("anchors")
    return torch.empty(0, 4) if found is None else found


def loss(dataset: Dataset, outputs: Outputs, targets: Any, anchors: torch.Tensor) -> torch.Tensor:
    """Return the mean loss of a batch.

    Cross-entropy over classes, for every point where there are parts; SSD's for boxes, of both stages where there are
    two, whose outputs the regions follow; squares for a score;
    |difference| for mattes, with the coarse matte's cross-entropy beside it.

    Raises
    ------
    UserError
        If the network answers once a sample, and the data asks for every point.
    """
    if dataset.task == "detection":
        if len(outputs) == _TWO_STAGES:
            return two_stage_loss(outputs[:-1], outputs[-1], anchors, targets)
        return multibox_loss(outputs[0], outputs[1], anchors, targets)
    wanted = torch.from_numpy(np.ascontiguousarray(targets)).to(outputs[0].device)
    if dataset.task == "matting":
        return matting_loss(outputs, wanted)
    if dataset.metric == "spearman":
        return functional.mse_loss(outputs[0].flatten(), wanted.float())
    if wanted.ndim != outputs[0].ndim - 1:
        raise UserError(
            f"data '{dataset.name}': its targets have shape {tuple(wanted.shape)}, and the network's output"
            f" {tuple(outputs[0].shape)} does not fit: take an architecture that answers for every point"
        )
    return functional.cross_entropy(outputs[0], wanted)


def matting_loss(outputs: Outputs, alpha: torch.Tensor) -> torch.Tensor:
    """Return the L1 loss of the matte, and the cross-entropy of the coarse one that steers the sparse layers."""
    matte, coarse = outputs[0], outputs[-1]
    small = functional.adaptive_avg_pool2d(alpha.flatten(0, 1), (coarse.shape[-2], coarse.shape[-1])).view_as(coarse)
    return functional.l1_loss(matte, alpha) + functional.binary_cross_entropy_with_logits(coarse, small)


def score(
    dataset: Dataset, batches: Sequence[tuple[Array, ...]], targets: Sequence[Any], anchors: torch.Tensor
) -> float:
    """Return the data set's metric, in percent, of a network's outputs, batch by batch."""
    if dataset.task == "detection":
        truth = [boxes for batch in targets for boxes in batch]
        found = [boxes for batch in batches for boxes in _found(batch, anchors)]
        if dataset.metric == "coco_map":
            return coco_map(truth, found)
        return mean_average_precision(truth, found, len(dataset.classes))
    wanted, outputs = np.concatenate(list(targets)), np.concatenate([batch[0] for batch in batches])
    if dataset.task == "matting":
        return metrics.matting_score(wanted, outputs)
    if dataset.metric == "spearman":
        return metrics.spearman(wanted, outputs.ravel())
    if dataset.metric == "miou":
        return metrics.mean_iou(wanted, outputs.argmax(1), len(dataset.classes))
    return _OF_CLASSES[dataset.metric](wanted, outputs.argmax(1))


def _found(outputs: tuple[Array, ...], anchors: torch.Tensor) -> list[Boxes]:
    if len(outputs) == _TWO_STAGES:
        _, _, logits, offsets, regions = outputs
        return found_boxes(offsets, logits, torch.from_numpy(regions))
    return found_boxes(outputs[0], outputs[1], anchors)


_OF_CLASSES: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": metrics.accuracy,
    "matthews": metrics.matthews,
    "f1": metrics.f1,
}
