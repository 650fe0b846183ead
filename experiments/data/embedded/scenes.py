"""Detection: discs, squares and crosses on a noisy ground, with their boxes."""

from __future__ import annotations

import numpy as np

from experiments.data.dataset import Array, Dataset, InMemory
from experiments.metrics.detection import Boxes

CLASSES = ("disc", "square", "cross")
_MOST, _SMALLEST, _LARGEST = 2, 0.3, 0.55
_ARM = 0.4
_TRIES = 20


def load(side: int, train: int = 768, test: int = 192) -> Dataset:
    """Return scenes ``(N, side, side, 3)`` uint8 of one or two things that do not overlap; drawn from fixed seeds."""
    splits = [_split(side, count, seed) for count, seed in ((train, 1), (test, 2))]
    return Dataset("scenes", "detection", "map", CLASSES, splits[0], splits[1], mirrored=True)


def _split(side: int, count: int, seed: int) -> InMemory:
    rng = np.random.default_rng(seed)
    drawn = [_scene(side, rng) for _ in range(count)]
    return InMemory(np.stack([image for image, _ in drawn]), [boxes for _, boxes in drawn])


def _scene(side: int, rng: np.random.Generator) -> tuple[Array, Boxes]:
    image = rng.normal(70, 20, (side, side, 3))
    corners: list[Array] = []
    labels: list[int] = []
    for _ in range(int(rng.integers(1, _MOST + 1))):
        corner = _free_place(corners, rng)
        if corner is None:
            continue
        labels.append(int(rng.integers(len(CLASSES))))
        corners.append(corner)
        image[_mask(CLASSES[labels[-1]], corner, side)] = rng.uniform(140, 255, 3)
    boxes = Boxes(np.array(corners).reshape(-1, 4), np.array(labels, np.int64), np.ones(len(labels)))
    return np.clip(image, 0, 255).astype(np.uint8), boxes


def _free_place(taken: list[Array], rng: np.random.Generator) -> Array | None:
    """Return a box that meets none of the others, or None if none was found."""
    for _ in range(_TRIES):
        size = rng.uniform(_SMALLEST, _LARGEST)
        low = rng.uniform(0, 1 - size, 2)
        corner = np.concatenate([low, low + size])
        if all((corner[:2] > other[2:]).any() or (corner[2:] < other[:2]).any() for other in taken):
            return corner
    return None


def _mask(kind: str, corner: Array, side: int) -> Array:
    """Return the pixels of a thing, ``(side, side)`` bool; x is the second axis."""
    rows, columns = np.meshgrid(*((np.arange(side) + 0.5) / side,) * 2, indexing="ij")
    x, y = (
        (axis - corner[index]) / (corner[index + 2] - corner[index]) * 2 - 1
        for index, axis in enumerate((columns, rows))
    )
    inside: Array = (np.abs(x) <= 1) & (np.abs(y) <= 1)
    if kind == "disc":
        return np.asarray(inside & (x**2 + y**2 <= 1))
    if kind == "cross":
        return np.asarray(inside & ((np.abs(x) <= _ARM) | (np.abs(y) <= _ARM)))
    return inside
