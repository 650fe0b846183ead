"""What all corruptions work on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Images: TypeAlias = npt.NDArray[Any]
"""``(N, H, W, C)`` floats in [0, 1]; what a corruption returns may leave that range and is clipped afterwards."""
_T = TypeVar("_T")
#: The parameters are those for images of this many rows; lengths in pixels grow with the image.
DESIGNED_FOR = 32


def level(parameters: Sequence[_T], severity: int) -> _T:
    """Return the parameter of a severity, 1 to 5."""
    return parameters[severity - 1]


def size_factor(images: Images) -> float:
    """Return how many times as large as CIFAR's the images are, at least 1: lengths shorter than a pixel do nothing."""
    return max(1.0, float(min(images.shape[1:3])) / DESIGNED_FOR)


def luminance(images: Images) -> Images:
    """Return the brightness, ``(N, H, W, 1)``, by ITU-R BT.601's weights; the mean of other than three channels."""
    if images.shape[-1] != len(_BT601):
        return np.asarray(images.mean(axis=-1, keepdims=True))
    return np.asarray((images * _BT601).sum(axis=-1, keepdims=True))


def zoomed(images: Images, factor: float) -> Images:
    """Return the middle of the images, magnified so many times, bilinearly, at the size they had."""
    from scipy.ndimage import map_coordinates

    height, width = images.shape[1:3]
    axes = [(np.arange(size) - (size - 1) / 2) / factor + (size - 1) / 2 for size in (height, width)]
    rows, columns = np.meshgrid(*axes, indexing="ij")
    planes = np.moveaxis(images, -1, 1).reshape(-1, height, width)
    made = np.stack([map_coordinates(plane, (rows, columns), order=1, mode="nearest") for plane in planes])
    return np.moveaxis(made.reshape(len(images), images.shape[-1], height, width), 1, -1)


_BT601 = np.array([0.299, 0.587, 0.114])
