"""Every corruption changes images, more with its severity, and the same way for the same seed."""

import numpy as np
import pytest
from PIL import Image

from experiments.corruptions.catalog import CORRUPTIONS, SEVERITIES, STANDARD, corrupt
from experiments.corruptions.weather import plasma
from schedules.errors import UserError


@pytest.fixture(scope="module")
def images():
    """Four coloured pictures with edges and gradients, (4, 32, 32, 3)."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(30, 225, (4, 8, 8, 3)).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(block).resize((32, 32), Image.Resampling.BICUBIC)) for block in blocks])


def difference(a, b):
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_there_are_the_fifteen_of_the_benchmark_and_its_four_spare_ones():
    assert (len(STANDARD), len(CORRUPTIONS)) == (15, 19)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corruption_keeps_shape_and_type_and_changes_the_picture(kind, images):
    for severity in SEVERITIES:
        changed = corrupt(images, kind, severity)
        assert changed.shape == images.shape
        assert changed.dtype == np.uint8
        # The mildest disks are smaller than a pixel, in the original too.
        if (kind, severity) not in {("defocus_blur", 1), ("glass_blur", 1)}:
            assert difference(changed, images) > 0.2, severity


@pytest.mark.parametrize("kind", sorted(CORRUPTIONS.keys() - {"elastic_transform", "spatter", "saturate"}))
def test_the_worst_severity_does_more_than_the_mildest(kind, images):
    assert difference(corrupt(images, kind, 5), images) > difference(corrupt(images, kind, 1), images)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_the_seed_decides(kind, images):
    first = corrupt(images, kind, 4, seed=1)
    np.testing.assert_array_equal(first, corrupt(images, kind, 4, seed=1))
    if kind in {"gaussian_noise", "fog", "frost", "snow", "elastic_transform", "spatter", "glass_blur", "motion_blur"}:
        assert difference(first, corrupt(images, kind, 4, seed=2)) > 0


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_grey_and_larger_pictures_are_taken_too(kind, images):
    large = images[:1].repeat(2, axis=1).repeat(2, axis=2)[..., :1]
    assert corrupt(large, kind, 3).shape == large.shape


def test_gaussian_noise_has_the_deviation_of_the_paper():
    grey = np.full((1, 200, 200, 3), 128, np.uint8)
    noisy = corrupt(grey, "gaussian_noise", 5).astype(float) / 255
    assert noisy.std() == pytest.approx(0.10, rel=0.02)


def test_impulses_strike_the_share_of_the_paper():
    grey = np.full((1, 200, 200, 3), 128, np.uint8)
    assert (corrupt(grey, "impulse_noise", 5) != 128).mean() == pytest.approx(0.07, rel=0.05)


def test_contrast_of_severity_two_is_half():
    striped = np.zeros((1, 2, 2, 1), np.uint8)
    striped[:, 0] = 200
    np.testing.assert_array_equal(corrupt(striped, "contrast", 2)[0, :, 0, 0], [150, 50])


def test_brightness_raises_the_largest_channel_and_keeps_the_hue():
    pixel = np.array([[[[102, 51, 0]]]], np.uint8)
    # V goes from 0.4 to 0.5
    np.testing.assert_array_equal(corrupt(pixel, "brightness", 2).ravel(), [128, 64, 0])


def test_saturation_is_doubled_and_shifted():
    pixel = np.array([[[[200, 160, 160]]]], np.uint8)
    # S goes from 0.2 to 0.5
    np.testing.assert_array_equal(corrupt(pixel, "saturate", 4).ravel(), [200, 100, 100])


def test_a_height_map_fills_the_unit_interval():
    heights = plasma((20, 33), 2.0, np.random.default_rng(0))
    assert heights.shape == (20, 33)
    assert 0 <= heights.min() < heights.max() <= 1


def test_an_unknown_corruption_is_named():
    with pytest.raises(UserError, match="corruption 'rain'"):
        corrupt(np.zeros((1, 8, 8, 3), np.uint8), "rain", 1)
    with pytest.raises(UserError, match="severity 6"):
        corrupt(np.zeros((1, 8, 8, 3), np.uint8), "fog", 6)
