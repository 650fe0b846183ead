"""Mattes: clips of a soft-edged figure, head above shoulders, moving before a textured ground."""

from __future__ import annotations

import numpy as np

from experiments.data.dataset import Array, Dataset, InMemory

_SOFTNESS = (0.02, 0.12)
#: Widths of the picture from one frame to the next.
_FASTEST = 0.05


def load(frames: int, height: int, width: int, train: int = 192, test: int = 48) -> Dataset:
    """Return clips ``(N, T, height, width, 3)`` uint8 with mattes ``(N, T, 1, height, width)``; from fixed seeds."""
    splits = [_split((frames, height, width), count, seed) for count, seed in ((train, 1), (test, 2))]
    return Dataset("portraits", "matting", "matting", ("figure",), splits[0], splits[1], mirrored=True)


def _split(shape: tuple[int, int, int], count: int, seed: int) -> InMemory:
    rng = np.random.default_rng(seed)
    drawn = [_clip(shape, rng) for _ in range(count)]
    mattes = np.stack([alpha for _, alpha in drawn])[:, :, None]
    return InMemory(np.stack([images for images, _ in drawn]), mattes.astype(np.float32))


def _clip(shape: tuple[int, int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """Return pictures ``(T, H, W, 3)`` and their mattes ``(T, H, W)``: I = αF + (1 − α)B."""
    frames, height, width = shape
    rows, columns = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    middle, size, soft = rng.uniform(0.35, 0.65), rng.uniform(0.7, 1.2), rng.uniform(*_SOFTNESS)
    pace = rng.uniform(-_FASTEST, _FASTEST)
    alpha = np.stack([_figure(rows, columns - middle - pace * at, size, soft) for at in range(frames)])[..., None]
    figure = rng.uniform(60, 250, 3) + rng.normal(0, 8, (height, width, 3))
    images = alpha * figure + (1 - alpha) * _texture(rows, columns, rng)
    return np.clip(images, 0, 255).astype(np.uint8), alpha[..., 0]


def _figure(rows: Array, across: Array, size: float, soft: float) -> Array:
    """Return the matte ``(H, W)`` of a head above shoulders; ``across`` is the distance from the middle."""
    head = 1 - np.hypot(across / (0.16 * size), (rows - 0.35) / (0.2 * size))
    shoulders = 1 - np.hypot(across / (0.38 * size), (rows - 1.0) / (0.45 * size))
    return np.asarray(np.clip(0.5 + np.maximum(head, shoulders) / (16 * soft), 0, 1))


def _texture(rows: Array, columns: Array, rng: np.random.Generator) -> Array:
    """Return stripes of a random direction in two colours, ``(H, W, 3)``."""
    angle, pace = rng.uniform(0, np.pi), rng.uniform(4, 12)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * pace * (columns * np.cos(angle) + rows * np.sin(angle)))[..., None]
    return np.asarray(wave * rng.uniform(0, 255, 3) + (1 - wave) * rng.uniform(0, 255, 3))
