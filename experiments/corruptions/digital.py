"""Light, colour, geometry and codecs, as CIFAR10-C has them (Hendrycks & Dietterich, ICLR 2019; their parameters)."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage

from experiments.corruptions.images import Images, level


def contrast(images: Images, severity: int, _rng: np.random.Generator) -> Images:
    """Pull every value towards the image's mean."""
    means = images.mean(axis=(1, 2), keepdims=True)
    return np.asarray((images - means) * level((0.75, 0.5, 0.4, 0.3, 0.15), severity) + means)


def brightness(images: Images, severity: int, _rng: np.random.Generator) -> Images:
    """Raise the V of HSV, which scales R, G and B alike; a black pixel has no colour and becomes grey."""
    value = images.max(axis=-1, keepdims=True)
    raised = np.clip(value + level((0.05, 0.1, 0.15, 0.2, 0.3), severity), 0, 1)
    return np.asarray(np.where(value > 0, images * raised / np.maximum(value, 1e-9), raised))


def saturate(images: Images, severity: int, _rng: np.random.Generator) -> Images:
    """Scale and shift the S of HSV: each channel's distance from the largest; grey images stay as they are."""
    factor, shift = level(((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)), severity)
    value, least = images.max(axis=-1, keepdims=True), images.min(axis=-1, keepdims=True)
    saturation = (value - least) / np.maximum(value, 1e-9)
    wanted = np.clip(saturation * factor + shift, 0, 1)
    scaled = value - (value - images) * wanted / np.maximum(saturation, 1e-9)
    return np.where(saturation > 0, scaled, images)


def elastic_transform(images: Images, severity: int, rng: np.random.Generator) -> Images:
    """Bend the picture: a random affine map, then smooth random displacements (Simard et al., ICDAR 2003)."""
    strength, smoothness, corner = level(
        ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)), severity
    )
    return np.stack([_bent(image, strength, smoothness, corner, rng) for image in images])


def _bent(image: Images, strength: float, smoothness: float, corner: float, rng: np.random.Generator) -> Images:
    """Return ``(H, W, C)``, sampled where an affine map of three random corners and a displacement field say."""
    size = min(image.shape[:2])
    grid = np.stack(np.meshgrid(*(np.arange(length, dtype=float) for length in image.shape[:2]), indexing="ij"))
    middle, arm = np.array(image.shape[:2]) // 2, size // 3
    fixed = np.array([middle + arm, [middle[0] + arm, middle[1] - arm], middle - arm], float)
    moved = fixed + rng.uniform(-corner * size, corner * size, fixed.shape)
    # Where a pixel of the result comes from: the affine map that takes the moved corners to the fixed ones.
    matrix = np.linalg.solve(np.column_stack([moved, np.ones(3)]), fixed)
    source = np.einsum("ij,ihw->jhw", matrix[:2], grid) + matrix[2][:, None, None]
    noise = rng.uniform(-1, 1, grid.shape)
    source += np.stack([ndimage.gaussian_filter(plane, smoothness * size, mode="reflect") for plane in noise]) * (
        strength * size
    )
    planes = [ndimage.map_coordinates(plane, source, order=1, mode="mirror") for plane in np.moveaxis(image, -1, 0)]
    return np.stack(planes, axis=-1)


def pixelate(images: Images, severity: int, _rng: np.random.Generator) -> Images:
    """Shrink and enlarge again, by averages of areas."""
    factor = level((0.95, 0.9, 0.85, 0.75, 0.65), severity)
    height, width = images.shape[1:3]
    small = (max(1, int(width * factor)), max(1, int(height * factor)))

    def through(image: Image.Image) -> Image.Image:
        return image.resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BOX)

    return _with_pillow(images, through)


def jpeg_compression(images: Images, severity: int, _rng: np.random.Generator) -> Images:
    """Store as JPEG of low quality and read again."""
    quality = level((80, 65, 58, 50, 40), severity)

    def through(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _with_pillow(images, through)


def _with_pillow(images: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    """Apply a function of Pillow images; one channel, or three."""
    stored = np.clip(np.rint(images * 255), 0, 255).astype(np.uint8)
    grey = images.shape[-1] == 1
    changed = [np.asarray(change(Image.fromarray(image[..., 0] if grey else image))) for image in stored]
    return np.stack([image[..., None] if grey else image for image in changed]) / 255
