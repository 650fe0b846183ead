"""Blur, as CIFAR10-C has it (Hendrycks & Dietterich, ICLR 2019; the parameters are those of their CIFAR script)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from experiments.corruptions.images import Images, level, size_factor, zoomed


def gaussian_blur(images: Images, severity: int, _rng: np.random.Generator) -> Images:
    """Smooth with a normal kernel."""
    return smoothed(images, level((0.4, 0.6, 0.7, 0.8, 1.0), severity) * size_factor(images))


def smoothed(images: Images, sigma: float) -> Images:
    """Return the images under a normal kernel of that deviation in pixels."""
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest"))


def defocus_blur(images: Images, severity: int, _rng: np.random.Generator) -> Images:
    """Smear every point to a disk with softened edges."""
    radius, softness = level(((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)), severity)
    factor = size_factor(images)
    reach = int(np.ceil(radius * factor)) + 2
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = ndimage.gaussian_filter((rows**2 + columns**2 <= (radius * factor) ** 2).astype(float), softness * factor)
    return _filtered(images, disk / disk.sum())


def glass_blur(images: Images, severity: int, rng: np.random.Generator) -> Images:
    """Smooth, swap pixels with close ones, smooth again: frosted glass.

    Pixels are swapped for all images at once, by the same random steps for each image of a call.
    """
    sigma, reach, rounds = level(((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)), severity)
    factor = size_factor(images)
    distance = max(1, round(reach * factor))
    blurred = smoothed(images, sigma * factor).copy()
    height, width = images.shape[1:3]
    for _ in range(rounds):
        steps = rng.integers(-distance, distance + 1, (height, width, 2))
        for row in range(height - distance - 1, distance - 1, -1):
            for column in range(width - distance - 1, distance - 1, -1):
                down, right = steps[row, column]
                other = blurred[:, row + down, column + right].copy()
                blurred[:, row + down, column + right] = blurred[:, row, column]
                blurred[:, row, column] = other
    return smoothed(blurred, sigma * factor)


def motion_blur(images: Images, severity: int, rng: np.random.Generator) -> Images:
    """Smear along a line within 45° of the horizontal, one-sided, as a moving camera does."""
    radius, sigma = level(((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)), severity)
    return streaked(images, radius, sigma, rng.uniform(-45, 45))


def streaked(images: Images, radius: float, sigma: float, degrees: float) -> Images:
    """Return the images, smeared along a direction by the positive half of a normal kernel (ImageMagick's motion blur).

    Parameters
    ----------
    images
        As everywhere.
    radius, sigma
        Length and deviation in pixels of a CIFAR image.
    degrees
        Of the direction, against the horizontal.
    """
    factor = size_factor(images)
    steps = np.arange(int(np.ceil(radius * factor)) + 1)
    weights = np.exp(-(steps**2) / (2 * (sigma * factor) ** 2))
    reach = len(steps)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    angle = np.deg2rad(degrees)
    rows = np.rint(reach + steps * np.sin(angle)).astype(int)
    columns = np.rint(reach + steps * np.cos(angle)).astype(int)
    np.add.at(kernel, (rows, columns), weights / weights.sum())
    return _filtered(images, kernel)


def zoom_blur(images: Images, severity: int, _rng: np.random.Generator) -> Images:
    """Average the image with magnified ones: the camera approaches."""
    largest = level((1.06, 1.11, 1.16, 1.21, 1.26), severity)
    factors = np.arange(1, largest, 0.01)
    total = images + sum(zoomed(images, float(factor)) for factor in factors)
    return np.asarray(total / (len(factors) + 1))


def _filtered(images: Images, kernel: Images) -> Images:
    return np.asarray(ndimage.correlate(images, kernel[None, :, :, None], mode="mirror"))
