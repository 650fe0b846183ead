"""Weather, after CIFAR10-C (Hendrycks & Dietterich, ICLR 2019; the parameters are those of their CIFAR script).

Their frost is a photograph; ours is drawn: cracks of ice, brightest near the border. Everything else is as there.
"""

from __future__ import annotations

import numpy as np

from experiments.corruptions.blur import smoothed, streaked
from experiments.corruptions.images import Images, level, luminance, size_factor, zoomed


def fog(images: Images, severity: int, rng: np.random.Generator) -> Images:
    """Add clouds and take the light back to where it was."""
    amount, decay = level(((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)), severity)
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    clouds = np.stack([plasma(images.shape[1:3], decay, rng) for _ in images])[..., None]
    return np.asarray((images + amount * clouds) * brightest / (brightest + amount))


def plasma(shape: tuple[int, ...], decay: float, rng: np.random.Generator) -> Images:
    """Return a height map in [0, 1], ``(H, W)``, by the diamond-square recursion (Fournier et al., CACM 1982).

    Parameters
    ----------
    shape
        ``(H, W)``.
    decay
        By how much the noise shrinks from one scale to the next.
    rng
        Draws the noise.
    """
    side = 1 << max(1, int(np.ceil(np.log2(max(shape)))))
    heights, step, noise = np.zeros((side, side)), side, 1.0
    while step > 1:
        half = step // 2
        corners = heights[::step, ::step]
        middles = (corners + np.roll(corners, -1, 0) + np.roll(corners, -1, 1) + np.roll(corners, (-1, -1), (0, 1))) / 4
        middles = middles + noise * rng.uniform(-1, 1, corners.shape)
        heights[half::step, half::step] = middles
        across = (corners + np.roll(corners, -1, 1) + middles + np.roll(middles, 1, 0)) / 4
        heights[::step, half::step] = across + noise * rng.uniform(-1, 1, corners.shape)
        along = (corners + np.roll(corners, -1, 0) + middles + np.roll(middles, 1, 1)) / 4
        heights[half::step, ::step] = along + noise * rng.uniform(-1, 1, corners.shape)
        step, noise = half, noise / decay
    heights -= heights.min()
    return np.asarray(heights / max(float(heights.max()), 1e-12))[: shape[0], : shape[1]]


def frost(images: Images, severity: int, rng: np.random.Generator) -> Images:
    """Lay ice over the picture."""
    kept, ice = level(((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)), severity)
    sheets = np.stack([_ice(images.shape[1:3], rng) for _ in images])[..., None]
    return np.asarray(kept * images + ice * sheets)


def _ice(shape: tuple[int, ...], rng: np.random.Generator) -> Images:
    """Return crystals, ``(H, W)`` in [0, 1]: ridges of a height map, brighter towards the border."""
    ridges = 1 - np.abs(2 * plasma(shape, 1.6, rng) - 1)
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    border = np.clip(0.3 + np.maximum(np.abs(rows), np.abs(columns)), 0, 1)
    return np.asarray(ridges**2 * border)


def snow(images: Images, severity: int, rng: np.random.Generator) -> Images:
    """Whiten the picture and let flakes fall, smeared by the wind."""
    mean, spread, zoom, least, radius, sigma, kept = level(
        (
            (0.1, 0.2, 1.0, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1.0, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        severity,
    )
    flakes = zoomed(rng.normal(mean, spread, (*images.shape[:3], 1)), zoom * size_factor(images))
    flakes = streaked(np.clip(np.where(flakes < least, 0, flakes), 0, 1), radius, sigma, rng.uniform(-135, -45))
    whitened = kept * images + (1 - kept) * np.maximum(images, luminance(images) * 1.5 + 0.5)
    return np.asarray(whitened + flakes + np.rot90(flakes, 2, axes=(1, 2)))


def spatter(images: Images, severity: int, rng: np.random.Generator) -> Images:
    """Splash water (severities 1 to 3) or mud (4 and 5) on the lens.

    Theirs draws the drops' edges with OpenCV's Canny detector; ours shades the drops by their thickness.
    """
    mean, spread, sigma, least, strength, mud = level(
        (
            (0.62, 0.1, 0.7, 0.7, 0.5, False),
            (0.65, 0.1, 0.8, 0.7, 0.5, False),
            (0.65, 0.3, 1.0, 0.69, 0.5, False),
            (0.65, 0.1, 0.7, 0.69, 0.6, True),
            (0.65, 0.1, 0.5, 0.68, 0.6, True),
        ),
        severity,
    )
    factor = size_factor(images)
    liquid = smoothed(rng.normal(mean, spread, (*images.shape[:3], 1)), sigma * factor)
    drops = np.where(liquid > least, 1.0, 0.0)
    if mud:
        cover = smoothed(drops, strength * factor)
        return np.asarray(images * (1 - cover) + _tinted(_MUD, images) * cover)
    shade = smoothed(drops, 0.5 * factor) * strength
    return np.asarray(images + shade * _tinted(_WATER, images))


def _tinted(colour: tuple[int, int, int], images: Images) -> Images:
    """Return a colour, or its brightness where images are not RGB."""
    value = np.array(colour) / 255
    return value if images.shape[-1] == len(colour) else np.array([value.mean()])


_WATER, _MUD = (175, 238, 238), (63, 42, 20)
