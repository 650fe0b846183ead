"""What networks are fed with."""

import numpy as np
import pytest

from experiments.architectures.architecture import InputSpec
from experiments.data.dataset import Dataset, InMemory
from experiments.training import features


def test_colours_become_grey_where_a_network_takes_one_channel():
    red = np.zeros((1, 2, 2, 3), np.uint8)
    red[..., 0] = 255
    (found,) = features._pictures(red, InputSpec((1, 2, 2)))
    np.testing.assert_allclose(found.numpy(), np.full((1, 2, 2), (0.299 - 0.5) / 0.25), rtol=1e-5)


def test_clips_keep_their_frames():
    assert features._pictures(np.zeros((2, 4, 8, 8, 3), np.uint8), InputSpec((4, 3, 8, 8))).shape == (2, 4, 3, 8, 8)


def test_a_pure_tone_is_loudest_in_the_band_around_it():
    rate, mels = 8000, 32
    wave = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate).astype(np.float32)[None]
    found = features._spectrograms(wave, InputSpec((1, mels, 32)), rate)
    band = found[0, 0].mean(-1).argmax().item()
    filters = features.mel_filters(mels, 512, rate)
    assert found.shape == (1, 1, 32, 32)
    assert filters[band, round(1000 / (rate / 512))] == pytest.approx(filters[:, round(1000 / (rate / 512))].max())


def test_pictures_move_and_are_mirrored_only_where_that_makes_sense():
    images = np.random.default_rng(0).integers(0, 255, (64, 16, 16, 1)).astype(np.uint8)
    empty = InMemory(images, np.zeros(64))
    plain = Dataset("some", "image", "accuracy", ("a",), empty, empty)
    moved = features.augmented(images, plain, np.random.default_rng(0))
    unmoved = [n for n in range(64) if (moved[n] == images[n]).all()]
    assert moved.shape == images.shape
    assert len(unmoved) < 16
    assert not any((moved[n] == images[n, :, ::-1]).all() for n in range(64))
