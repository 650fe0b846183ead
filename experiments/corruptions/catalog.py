"""The table of corruptions, and the one function that applies them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from experiments.corruptions import blur, digital, noise, weather
from experiments.corruptions.images import Images
from schedules.errors import UserError

Corruption: TypeAlias = Callable[[Images, int, np.random.Generator], Images]
SEVERITIES = (1, 2, 3, 4, 5)
#: The fifteen that CIFAR10-C's error is an average of.
STANDARD: dict[str, Corruption] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": digital.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
}
#: The four that its authors keep for validation.
EXTRA: dict[str, Corruption] = {
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "spatter": weather.spatter,
    "saturate": digital.saturate,
}
CORRUPTIONS = {**STANDARD, **EXTRA}


def corrupt(images: npt.NDArray[np.uint8], kind: str, severity: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return corrupted images.

    Parameters
    ----------
    images
        ``(N, H, W, C)`` uint8, of 1 or 3 channels.
    kind
        A name of :data:`CORRUPTIONS`.
    severity
        1 to 5.
    seed
        The same images, kind, severity and seed give the same result, whatever else was corrupted before.

    Raises
    ------
    UserError
        If the kind or the severity does not exist.
    """
    if kind not in CORRUPTIONS:
        raise UserError(f"corruption '{kind}': there is none of that name; there are {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise UserError(f"corruption '{kind}' of severity {severity}: severities are 1 to 5")
    rng = np.random.default_rng([seed, severity, zlib.crc32(kind.encode())])
    changed = CORRUPTIONS[kind](images.astype(np.float64) / 255, severity, rng)
    stored: npt.NDArray[np.uint8] = np.clip(np.rint(changed * 255), 0, 255).astype(np.uint8)
    return stored
