"""COCO's metric, held against its definition, written here once more without its code."""

import numpy as np
import pytest

from experiments.metrics.coco import coco_map
from experiments.metrics.detection import Boxes

OVERLAPS = np.linspace(0.5, 0.95, 10)


def scene(seed, images=6, classes=3):
    """Return objects, some of them crowds, and guesses near and far."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(images):
        low = rng.uniform(0, 80, (rng.integers(0, 8), 2))
        corners = np.concatenate([low, low + rng.uniform(8, 40, low.shape)], 1)
        labels = rng.integers(0, classes, len(corners))
        truth.append(Boxes(corners, labels, np.ones(len(corners)), rng.random(len(corners)) < 0.2))
        kept = rng.random(len(corners)) < 0.8
        near = corners[kept] + rng.normal(0, 2, (int(kept.sum()), 4))
        far = np.sort(rng.uniform(0, 120, (4, 2, 2)), axis=1).reshape(4, 4)
        guessed = np.concatenate([near, near[: len(near) // 2] + 1, far])
        others = np.concatenate([labels[kept], labels[kept][: len(near) // 2], rng.integers(0, classes, 4)])
        found.append(Boxes(guessed, others, rng.random(len(guessed)).round(3)))
    return truth, found


def overlap(guess, real, crowd):
    width, height = (min(guess[2 + axis], real[2 + axis]) - max(guess[axis], real[axis]) for axis in (0, 1))
    shared = max(width, 0) * max(height, 0)
    mine, its = ((box[2] - box[0]) * (box[3] - box[1]) for box in (guess, real))
    return shared / (mine if crowd else mine + its - shared)


def matches(truth, found, label, least):
    """Return (score, right) of every guess that counts: the best free object first, a crowd if there is no other."""
    rows = []
    for real, guess in zip(truth, found, strict=True):
        parts = real.corners, real.labels, real.ignored
        objects = [(box, crowd) for box, of, crowd in zip(*parts, strict=True) if of == label]
        objects.sort(key=lambda each: each[1])
        taken = set()
        guessed = guess.scores, guess.corners, guess.labels
        mine = [(score, box) for score, box, of in zip(*guessed, strict=True) if of == label]
        for score, box in sorted(mine, key=lambda each: -each[0])[:100]:
            best, reached = None, min(least, 1 - 1e-10)
            for index, (other, crowd) in enumerate(objects):
                if index in taken and not crowd:
                    continue
                if best is not None and not objects[best][1] and crowd:
                    break
                share = overlap(box, other, crowd)
                if share >= reached:
                    best, reached = index, share
            if best is not None:
                taken.add(best)
            if best is None or not objects[best][1]:
                rows.append((score, best is not None))
    return rows


def by_definition(truth, found, classes=3):
    scores = []
    for label in range(classes):
        wanted = sum(int(((real.labels == label) & ~real.ignored).sum()) for real in truth)
        if not wanted:
            continue
        for least in OVERLAPS:
            rows = sorted(matches(truth, found, label, least), key=lambda row: -row[0])
            right = np.cumsum([hit for _, hit in rows]) if rows else np.zeros(0)
            recall, precision = right / wanted, right / np.arange(1, len(rows) + 1)
            precision = np.maximum.accumulate(precision[::-1])[::-1]
            places = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
            scores.append(np.mean([precision[place] if place < len(rows) else 0.0 for place in places]))
    return 100 * np.mean(scores)


@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_definition_on_random_boxes_with_crowds(seed):
    truth, found = scene(seed)
    assert coco_map(truth, found) == pytest.approx(by_definition(truth, found), abs=1e-6)


def test_all_found_is_all_and_nothing_found_is_nothing():
    truth, _ = scene(0)
    assert coco_map(truth, [Boxes(each.corners, each.labels, each.scores) for each in truth]) == pytest.approx(100)
    assert coco_map(truth, [Boxes(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))] * len(truth)) == 0


def test_without_objects_there_is_no_average_precision():
    empty = Boxes(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    with pytest.raises(ValueError, match="no object"):
        coco_map([empty], [empty])
