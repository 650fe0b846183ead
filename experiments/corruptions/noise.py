"""Noise, as CIFAR10-C adds it (Hendrycks & Dietterich, ICLR 2019; the parameters are those of their CIFAR script)."""

from __future__ import annotations

import numpy as np

from experiments.corruptions.images import Images, level


def gaussian_noise(images: Images, severity: int, rng: np.random.Generator) -> Images:
    """Add a normal number to each value: too little light."""
    return images + rng.normal(scale=level((0.04, 0.06, 0.08, 0.09, 0.10), severity), size=images.shape)


def shot_noise(images: Images, severity: int, rng: np.random.Generator) -> Images:
    """Count photons: Poisson noise of so many at full light."""
    photons = level((500, 250, 100, 75, 50), severity)
    return np.asarray(rng.poisson(images * photons) / photons)


def impulse_noise(images: Images, severity: int, rng: np.random.Generator) -> Images:
    """Salt and pepper: so many of the values become 0 or 1."""
    amount = level((0.01, 0.02, 0.03, 0.05, 0.07), severity)
    struck = rng.random(images.shape) < amount
    return np.where(struck, rng.integers(0, 2, images.shape), images)


def speckle_noise(images: Images, severity: int, rng: np.random.Generator) -> Images:
    """Add noise in proportion to the value."""
    scale = level((0.06, 0.1, 0.12, 0.16, 0.2), severity)
    return images + images * rng.normal(scale=scale, size=images.shape)
