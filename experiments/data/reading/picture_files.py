"""Pictures as files: read, resized, in class folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.data.dataset import Array, Decoded, Split

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm")
#: ImageNet's usual test crop: the shorter side is 256, of which the middle 224 are used.
_CROP = 224 / 256


def cropped(side: int) -> Callable[[Path], Array]:
    """Return a function that reads the middle of a picture as ``(side, side, 3)`` uint8."""

    def read(path: Path) -> Array:
        with Image.open(path) as picture:
            width, height = picture.size
            edge = min(width, height) * (_CROP if min(width, height) > side else 1.0)
            left, top = (width - edge) / 2, (height - edge) / 2
            box = (left, top, left + edge, top + edge)
            return np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR, box))

    return read


def squeezed(side: int) -> Callable[[Path], Array]:
    """Return a function that reads a whole picture as ``(side, side, 3)`` uint8: relative positions stay."""

    def read(path: Path) -> Array:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))

    return read


def resized(images: Array, side: int) -> Array:
    """Return ``(N, side, side, C)`` uint8 of ``(N, H, W, C)`` uint8."""
    if images.shape[1:3] == (side, side):
        return images
    planes = np.moveaxis(images, -1, 1).reshape(-1, *images.shape[1:3])
    made = [np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BILINEAR)) for plane in planes]
    return np.moveaxis(np.stack(made).reshape(len(images), images.shape[-1], side, side), 1, -1)


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders in a folder, sorted."""
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))


def class_folders(folder: Path, classes: tuple[str, ...], side: int) -> Split:
    """Return the pictures of class folders."""
    items = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in SUFFIXES
    ]
    return Decoded([path for path, _ in items], cropped(side), np.array([label for _, label in items], np.int64))
