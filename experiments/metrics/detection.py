"""Mean average precision of boxes, as PASCAL VOC (one overlap, all points) defines it; COCO's is in ``coco``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
VOC_OVERLAPS = (0.5,)
_PERCENT = 100.0


@dataclasses.dataclass(frozen=True)
class Boxes:
    """The objects of one image.

    Parameters
    ----------
    corners
        ``(N, 4)``: left, top, right, bottom, in any unit.
    labels
        ``(N,)`` integers.
    scores
        ``(N,)``, the detector's; ones for what is really there.
    ignored
        ``(N,)`` bool, or None for none: objects (VOC's difficult ones, COCO's crowds) that need not be found, and
        whose boxes are not false either.
    """

    corners: Array
    labels: Array
    scores: Array
    ignored: Array | None = None

    def wanted(self, label: int) -> Array:
        """Return which objects of a class must be found, of those of that class, ``(M,)`` bool."""
        here = self.labels == label
        every: Array = np.ones(int(here.sum()), np.bool_)
        return every if self.ignored is None else ~self.ignored[here]


def iou(a: Array, b: Array) -> Array:
    """Return the intersection over union of ``(N, 4)`` and ``(M, 4)`` boxes, ``(N, M)``."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    overlap: Array = np.divide(shared, union, out=np.zeros_like(shared, dtype=np.float64), where=union > 0)
    return overlap


def mean_average_precision(
    truth: Sequence[Boxes], found: Sequence[Boxes], classes: int, overlaps: Sequence[float] = VOC_OVERLAPS
) -> float:
    """Return mAP in percent over the classes that occur and over the overlaps.

    Parameters
    ----------
    truth, found
        Per image, in the same order.
    classes
        Labels are below it.
    overlaps
        An object is found if a box of its class overlaps it so much.

    Raises
    ------
    ValueError
        If no image holds an object.
    """
    present = [label for label in range(classes) if any(boxes.wanted(label).any() for boxes in truth)]
    if not present:
        raise ValueError("no object in any image: there is no average precision")
    return _PERCENT * float(
        np.mean([average_precision(truth, found, label, overlap) for label in present for overlap in overlaps])
    )


def average_precision(truth: Sequence[Boxes], found: Sequence[Boxes], label: int, overlap: float) -> float:
    """Return the area under the precision-recall curve of one class, all points (VOC 2010 and later), in [0, 1]."""
    objects = sum(int(boxes.wanted(label).sum()) for boxes in truth)
    hits = [
        (score, right)
        for real, guess in zip(truth, found, strict=True)
        for score, right in _matched(real, guess, label, overlap)
    ]
    hits.sort(key=lambda hit: -hit[0])
    right = np.array([hit[1] for hit in hits], dtype=np.float64)
    true = np.cumsum(right)
    recall = np.concatenate([[0.0], true / objects])
    precision = np.concatenate([[0.0], true / np.arange(1, len(right) + 1)])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))


def _matched(real: Boxes, guess: Boxes, label: int, overlap: float) -> list[tuple[float, bool]]:
    """Return each guess's score and whether it is the first to hit an object: a second hit is a false one."""
    corners, scores = guess.corners[guess.labels == label], guess.scores[guess.labels == label]
    overlaps = iou(corners, real.corners[real.labels == label])
    wanted = real.wanted(label)
    taken: set[int] = set()
    rows = []
    for index in np.argsort(-scores, kind="stable"):
        best = int(overlaps[index].argmax()) if overlaps.shape[1] else -1
        hit = best >= 0 and bool(overlaps[index, best] >= overlap)
        if hit and not wanted[best]:
            continue
        right = hit and best not in taken
        if right:
            taken.add(best)
        rows.append((float(scores[index]), right))
    return rows
