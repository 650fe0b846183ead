"""Mean average precision as COCO's own code computes it: ten overlaps, 101 points of recall, crowds apart."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from experiments.metrics.detection import Boxes
from tvm_bnn.command_line.packages import require

_PERCENT = 100.0


def coco_map(truth: Sequence[Boxes], found: Sequence[Boxes]) -> float:
    """Return COCO's AP in percent, by pycocotools: 100 boxes an image at most, all areas.

    Parameters
    ----------
    truth, found
        Per image, in the same order; objects that are ``ignored`` are crowds.

    Raises
    ------
    ValueError
        If no image holds an object that is no crowd.
    """
    require("COCO's average precision", "tvm-bnn[experiments]", "pycocotools")
    # Late: an optional package, which imports matplotlib.
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        real = COCO()
        real.dataset = _dataset(truth)
        real.createIndex()
        if not any(not each["iscrowd"] for each in real.dataset["annotations"]):
            raise ValueError("no object in any image: there is no average precision")
        guesses = list(_guesses(found))
        if not guesses:
            return 0.0
        evaluation = COCOeval(real, real.loadRes(guesses), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return _PERCENT * float(evaluation.stats[0])


def _dataset(truth: Sequence[Boxes]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image, boxes in enumerate(truth):
        crowds = boxes.ignored if boxes.ignored is not None else np.zeros(len(boxes.labels), np.bool_)
        for corners, label, crowd in zip(boxes.corners, boxes.labels, crowds, strict=True):
            box = _box(corners)
            # COCO counts annotations from 1: it takes 0 for "none".
            number = len(annotations) + 1
            annotations.append(
                {"id": number, "image_id": image, "category_id": int(label), "bbox": box, "area": box[2] * box[3]}
                | {"iscrowd": int(crowd)}
            )
    labels = sorted({each["category_id"] for each in annotations})
    return {
        "images": [{"id": image} for image in range(len(truth))],
        "categories": [{"id": label} for label in labels],
        "annotations": annotations,
        "info": {},
    }


def _guesses(found: Sequence[Boxes]) -> Iterator[dict[str, Any]]:
    for image, boxes in enumerate(found):
        for corners, label, score in zip(boxes.corners, boxes.labels, boxes.scores, strict=True):
            yield {"image_id": image, "category_id": int(label), "bbox": _box(corners), "score": float(score)}


def _box(corners: Any) -> list[float]:
    """Return left, top, width and height of a box of left, top, right and bottom."""
    left, top, right, bottom = map(float, corners)
    return [left, top, right - left, bottom - top]
