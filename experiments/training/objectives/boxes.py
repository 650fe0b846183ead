"""Detectors with anchors: the loss of SSD, and boxes from its outputs (Liu et al., ECCV 2016, sections 2.2 and 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from experiments.architectures.boxes.anchors import decode, encode
from experiments.data.dataset import Array
from experiments.metrics.detection import Boxes, iou

#: An anchor stands for an object that it overlaps so much.
_MATCHED = 0.5
#: Background anchors in the loss, for each that stands for an object: those that look most like one.
_NEGATIVES = 3
_LEAST_SCORE, _SUPPRESSED, _KEPT = 0.01, 0.45, 100


def multibox_loss(
    offsets: torch.Tensor, logits: torch.Tensor, anchors: torch.Tensor, truth: Sequence[Boxes]
) -> torch.Tensor:
    """Return SSD's loss (eq. 1): cross-entropy of classes plus smooth L1 of offsets, over the matched anchors.

    Parameters
    ----------
    offsets, logits
        ``(N, anchors, 4)`` and ``(N, anchors, classes + 1)``; class 0 is background.
    anchors
        ``(anchors, 4)``: centre and size; ``(N, anchors, 4)`` where each picture has its own.
    truth
        What is in each picture.
    """
    each = anchors.cpu().expand(len(truth), -1, -1)
    wanted = [match(boxes, its) for boxes, its in zip(truth, each, strict=True)]
    labels = torch.stack([label for label, _ in wanted]).to(logits.device)
    targets = torch.stack([target for _, target in wanted]).to(logits.device)
    positive = labels > 0
    entropy = functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    located = functional.smooth_l1_loss(offsets, targets, reduction="none").sum(-1)
    count = positive.sum().clamp(min=1)
    hard = _hardest(entropy.detach().masked_fill(positive, 0), positive)
    return (entropy[positive | hard].sum() + located[positive].sum()) / count


def _hardest(entropy: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Return the background anchors with the largest loss, three for each object's anchor of the same picture."""
    rank = entropy.argsort(1, descending=True).argsort(1)
    most = (_NEGATIVES * positive.sum(1, keepdim=True)).clamp(min=1, max=entropy.shape[1] - 1)
    return (rank < most) & ~positive


def match(boxes: Boxes, anchors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each anchor's class (0 for background) and offsets; an object always has its best anchor."""
    labels = torch.zeros(len(anchors), dtype=torch.long)
    if not len(boxes.labels):
        return labels, torch.zeros(len(anchors), 4)
    overlaps = torch.from_numpy(iou(boxes.corners, corners_of(anchors).numpy()))
    best, whose = overlaps.max(0)
    for number, anchor in enumerate(overlaps.argmax(1).tolist()):
        best[anchor], whose[anchor] = 1.0, number
    matched = best >= _MATCHED
    labels[matched] = torch.from_numpy(boxes.labels)[whose[matched]] + 1
    boxed = centred(torch.from_numpy(boxes.corners).float())[whose]
    return labels, encode(boxed, anchors)


def found_boxes(offsets: Array, logits: Array, anchors: torch.Tensor) -> list[Boxes]:
    """Return what a detector sees in each picture: classes above the least score, overlapping ones suppressed."""
    corners = corners_of(decode(torch.from_numpy(offsets), anchors)).clamp(0, 1).numpy()
    scores = torch.from_numpy(logits).softmax(-1)[..., 1:].numpy()
    return [_suppressed(boxes, score) for boxes, score in zip(corners, scores, strict=True)]


def _suppressed(corners: Array, scores: Array) -> Boxes:
    """Return the best boxes of a picture: of those of a class that overlap, the one with the highest score."""
    rows: list[tuple[float, int, int]] = []
    for label in range(scores.shape[1]):
        order = np.argsort(-scores[:, label], kind="stable")[: 4 * _KEPT]
        order = order[scores[order, label] > _LEAST_SCORE]
        kept = order[survivors(corners[order], _SUPPRESSED)]
        rows += [(float(scores[anchor, label]), label, int(anchor)) for anchor in kept]
    rows = sorted(rows, reverse=True)[:_KEPT]
    chosen = [anchor for _, _, anchor in rows]
    labels = np.array([label for _, label, _ in rows], np.int64)
    return Boxes(corners[chosen].reshape(-1, 4), labels, np.array([score for score, _, _ in rows]))


def survivors(corners: Array, most: float) -> Array:
    """Return which boxes, best first, overlap no better one by more than ``most``: ``(boxes,)`` bool."""
    overlaps = iou(corners, corners)
    alive = np.ones(len(corners), np.bool_)
    for at in range(len(corners)):
        if alive[at]:
            alive[at + 1 :] &= overlaps[at, at + 1 :] <= most
    return alive


def corners_of(boxes: torch.Tensor) -> torch.Tensor:
    """Return boxes ``(..., 4)`` of centre and size as corners."""
    return torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)


def centred(corners: torch.Tensor) -> torch.Tensor:
    """Return boxes ``(..., 4)`` of corners as centre and size."""
    return torch.cat([(corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]], -1)
