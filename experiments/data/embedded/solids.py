"""Point clouds: the surfaces of simple solids, turned, stretched and blurred a little."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from experiments.data.dataset import Array, Dataset, InMemory
from experiments.data.published.model_net40 import normalized

_BLUR, _STRETCH = 0.03, 0.25


def load(points: int, train: int = 960, test: int = 240) -> Dataset:
    """Return clouds ``(N, points, 3)`` float32 about the origin, inside the unit sphere; drawn from fixed seeds."""
    splits = [_split(points, count, seed) for count, seed in ((train, 1), (test, 2))]
    return Dataset("solids", "points", "accuracy", tuple(SOLIDS), splits[0], splits[1])


def _split(points: int, count: int, seed: int) -> InMemory:
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(SOLIDS), size=count)
    surfaces = list(SOLIDS.values())
    clouds = np.stack([_disturbed(surfaces[label](points, rng), rng) for label in labels])
    return InMemory(normalized(clouds), labels.astype(np.int64))


def _disturbed(cloud: Array, rng: np.random.Generator) -> Array:
    """Stretch along the axes, turn about the vertical one, and blur."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    stretched = cloud * rng.uniform(1 - _STRETCH, 1 + _STRETCH, 3)
    return np.asarray(stretched @ turn.T + rng.normal(scale=_BLUR, size=cloud.shape))


def _sphere(points: int, rng: np.random.Generator) -> Array:
    drawn = rng.standard_normal((points, 3))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def _cube(points: int, rng: np.random.Generator) -> Array:
    drawn = rng.uniform(-1, 1, (points, 3))
    drawn[np.arange(points), rng.integers(3, size=points)] = rng.choice([-1.0, 1.0], points)
    return drawn


def _cylinder(points: int, rng: np.random.Generator) -> Array:
    angle = rng.uniform(0, 2 * np.pi, points)
    return np.stack([np.cos(angle), np.sin(angle), rng.uniform(-1, 1, points)], axis=1)


def _cone(points: int, rng: np.random.Generator) -> Array:
    angle, radius = rng.uniform(0, 2 * np.pi, points), np.sqrt(rng.random(points))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), 1 - 2 * radius], axis=1)


def _torus(points: int, rng: np.random.Generator) -> Array:
    around, along = rng.uniform(0, 2 * np.pi, (2, points))
    radius = 1 + 0.35 * np.cos(along)
    return np.stack([radius * np.cos(around), radius * np.sin(around), 0.35 * np.sin(along)], axis=1)


def _plane(points: int, rng: np.random.Generator) -> Array:
    drawn = rng.uniform(-1, 1, (points, 3))
    drawn[:, 2] *= 0.05
    return drawn


def _helix(points: int, rng: np.random.Generator) -> Array:
    turns = rng.uniform(-1, 1, points)
    return np.stack([np.cos(turns * 2 * np.pi), np.sin(turns * 2 * np.pi), turns], axis=1)


def _corner(points: int, rng: np.random.Generator) -> Array:
    drawn = rng.uniform(0, 1.5, (points, 3))
    drawn[np.arange(points), rng.integers(3, size=points)] = 0
    return drawn


SOLIDS: dict[str, Callable[[int, np.random.Generator], Array]] = {
    "sphere": _sphere,
    "cube": _cube,
    "cylinder": _cylinder,
    "cone": _cone,
    "torus": _torus,
    "plane": _plane,
    "helix": _helix,
    "corner": _corner,
}
