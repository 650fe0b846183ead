"""Mattes: a soft-edged figure, head above shoulders, before a textured ground, with its exact transparency."""

from __future__ import annotations

import numpy as np

from experiments.data.dataset import Array, Dataset, InMemory

_SOFTNESS = (0.02, 0.12)


def load(height: int, width: int, train: int = 256, test: int = 64) -> Dataset:
    """Return pictures ``(N, height, width, 3)`` uint8 with mattes ``(N, 1, height, width)``; from fixed seeds."""
    splits = [_split(height, width, count, seed) for count, seed in ((train, 1), (test, 2))]
    return Dataset("portraits", "matting", "matting", ("figure",), *splits, mirrored=True)


def _split(height: int, width: int, count: int, seed: int) -> InMemory:
    rng = np.random.default_rng(seed)
    drawn = [_portrait(height, width, rng) for _ in range(count)]
    mattes = np.stack([alpha for _, alpha in drawn])[:, None]
    return InMemory(np.stack([image for image, _ in drawn]), mattes.astype(np.float32))


def _portrait(height: int, width: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return a picture and its matte: I = αF + (1 − α)B."""
    rows, columns = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    middle, size, soft = rng.uniform(0.35, 0.65), rng.uniform(0.7, 1.2), rng.uniform(*_SOFTNESS)
    head = 1 - np.hypot((columns - middle) / (0.16 * size), (rows - 0.35) / (0.2 * size))
    shoulders = 1 - np.hypot((columns - middle) / (0.38 * size), (rows - 1.0) / (0.45 * size))
    alpha = np.clip(0.5 + np.maximum(head, shoulders) / (2 * soft * 8), 0, 1)[..., None]
    ground = _texture(rows, columns, rng)
    figure = rng.uniform(60, 250, 3) + rng.normal(0, 8, (height, width, 3))
    image = alpha * figure + (1 - alpha) * ground
    return np.clip(image, 0, 255).astype(np.uint8), alpha[..., 0]


def _texture(rows: Array, columns: Array, rng: np.random.Generator) -> Array:
    """Return stripes of a random direction in two colours, ``(H, W, 3)``."""
    angle, pace = rng.uniform(0, np.pi), rng.uniform(4, 12)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * pace * (columns * np.cos(angle) + rows * np.sin(angle)))[..., None]
    return np.asarray(wave * rng.uniform(0, 255, 3) + (1 - wave) * rng.uniform(0, 255, 3))
