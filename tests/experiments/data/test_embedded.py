"""The embedded data: the same each time, of the shapes that networks take, and true to what it says."""

from pathlib import Path

import numpy as np
import pytest

from experiments.architectures.catalog import ARCHITECTURES
from experiments.data.catalog import DEFAULTS, SOURCES, Shape, find_source
from experiments.data.embedded import portraits, reviews, scenes, solids
from experiments.data.reading.vocabulary import END, START, UNKNOWN, Vocabulary
from schedules.errors import UserError

SMALL = {"image": (1, 16, 16), "detection": (3, 32, 32), "points": (3, 64), "text": (24,), "audio": (1, 32, 32)}


def load(task, sample):
    return find_source(DEFAULTS[task]).load(Path(), Shape(sample, 64))


def test_every_task_that_an_architecture_has_has_embedded_data():
    assert {architecture.task for architecture in ARCHITECTURES} <= DEFAULTS.keys()


def test_names_of_data_are_unique():
    assert len({source.name for source in SOURCES}) == len(SOURCES)


@pytest.mark.parametrize("task", SMALL)
def test_the_data_is_the_same_each_time_and_has_every_class(task):
    one, other = load(task, SMALL[task]), load(task, SMALL[task])
    numbers = list(range(0, len(one.test), 3))
    np.testing.assert_array_equal(one.test[numbers][0], other.test[numbers][0])
    if task != "detection":
        assert set(one.train.targets.tolist()) == set(range(len(one.classes)))


def test_test_samples_are_none_of_the_training_samples():
    data = solids.load(32)
    assert not (data.train.inputs[:, None, 0] == data.test.inputs[None, :, 0]).all(-1).any()


def test_things_in_scenes_are_brighter_than_the_ground_at_the_middle_of_their_boxes():
    data = scenes.load(64, train=20, test=20)
    images, boxes = data.test[list(range(20))]
    for image, found in zip(images, boxes, strict=True):
        middles = ((found.corners[:, :2] + found.corners[:, 2:]) / 2 * 64).astype(int)
        assert all(image[y, x].mean() > 130 for x, y in middles)


def test_mattes_are_soft_and_move():
    clips, mattes = portraits.load(2, 32, 32, train=4, test=4).test[[0, 1, 2, 3]]
    assert (clips.shape, mattes.shape) == ((4, 2, 32, 32, 3), (4, 2, 1, 32, 32))
    assert ((mattes > 0) & (mattes < 1)).any()
    assert (mattes[:, 0] != mattes[:, 1]).any()


def test_no_single_word_tells_a_review():
    data = reviews.load(24, 64)
    ids, labels = data.train.inputs, data.train.targets
    rates = [(labels[(ids == word).any(1)] == 1).mean() for word in range(4, 64) if (ids == word).any()]
    assert min(rates) > 0.1
    assert max(rates) < 0.9


def test_a_vocabulary_numbers_words_by_frequency_then_alphabet():
    vocabulary = Vocabulary(["b a b", "c a b"], 6)
    assert vocabulary.encode(["B a", "c!"]) == [START, 4, 5, END, UNKNOWN, UNKNOWN, END]


def test_unknown_data_is_refused_with_what_there_is():
    with pytest.raises(UserError, match="data 'mnist': not known; there are cifar10"):
        find_source("mnist")
