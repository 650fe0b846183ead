"""Detectors of two stages: regions, both losses, and a training."""

import numpy as np
import pytest
import torch

from experiments.architectures.boxes.anchors import encode
from experiments.architectures.catalog import find_architecture
from experiments.binarizers.catalog import find_binarizer
from experiments.data.catalog import Shape, find_source
from experiments.metrics.detection import Boxes
from experiments.training.job import Job
from experiments.training.loop import train
from experiments.training.objectives.boxes import multibox_loss
from experiments.training.objectives.regions import as_input, in_two_stages, learnt_regions, proposals, two_stage_loss
from experiments.training.recipe import Recipe

ANCHORS = torch.tensor([[0.25, 0.25, 0.4, 0.4], [0.26, 0.25, 0.4, 0.4], [0.75, 0.75, 0.4, 0.4]])
OBJECT = Boxes(np.array([[0.05, 0.05, 0.45, 0.45]]), np.array([1]), np.ones(1))


def test_the_network_gets_back_the_regions_that_it_is_given():
    torch.testing.assert_close(torch.sigmoid(as_input(ANCHORS)), ANCHORS)


def test_of_proposals_on_the_same_place_the_worse_one_comes_last():
    scores = np.array([[[3.0], [2.0], [1.0]]])
    found = proposals(scores, np.zeros((1, 3, 4), np.float32), ANCHORS, 3)
    torch.testing.assert_close(found[0], ANCHORS[[0, 2, 1]])


def test_half_of_what_is_learnt_from_lies_about_an_object():
    regions = learnt_regions([OBJECT], ANCHORS[2:], np.random.default_rng(0))
    assert regions.shape == (1, 16, 4)
    assert (regions[0, :8, :2] - 0.25).abs().max() <= 0.15 * 0.4 + 1e-6
    torch.testing.assert_close(regions[0, 8:], ANCHORS[2:].expand(8, -1))


def test_a_picture_without_objects_is_learnt_from_anchors():
    nothing = Boxes(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    regions = learnt_regions([nothing], ANCHORS[:1], np.random.default_rng(0))
    torch.testing.assert_close(regions[0], ANCHORS[:1].expand(16, -1))


def test_the_loss_is_that_of_both_stages():
    regions = ANCHORS[None, [0, 2]]
    offsets = torch.stack([encode(ANCHORS[0], anchor) for anchor in ANCHORS])[None]
    outputs = (torch.zeros(1, 3, 1), offsets, torch.zeros(1, 2, 4), torch.zeros(1, 2, 4))
    # Perfect boxes: ln 2 for each of three anchors, two of which are the object's; ln 4 for two regions, one of them.
    wanted = 3 * np.log(2) / 2 + 2 * np.log(4)
    assert two_stage_loss(outputs, regions, ANCHORS, [OBJECT]).item() == pytest.approx(wanted, rel=1e-5)


def test_each_picture_may_have_anchors_of_its_own():
    offsets, logits = torch.randn(2, 3, 4), torch.randn(2, 3, 3)
    same = multibox_loss(offsets, logits, ANCHORS, [OBJECT, OBJECT])
    torch.testing.assert_close(multibox_loss(offsets, logits, ANCHORS.expand(2, -1, -1), [OBJECT, OBJECT]), same)


def test_the_second_pass_looks_at_what_the_first_one_proposed():
    seen = []

    def call(images, regions):
        seen.append(torch.sigmoid(regions))
        return np.array([[[0.0], [1.0], [9.0]]]), np.zeros((1, 3, 4), np.float32), images.numpy(), images.numpy()

    outputs = in_two_stages(call, ANCHORS)(torch.zeros(1), torch.zeros(1, 2, 4))
    torch.testing.assert_close(seen[1][0], ANCHORS[[2, 1]])
    np.testing.assert_allclose(outputs[-1][0], ANCHORS[[2, 1]], rtol=1e-6)


def test_faster_rcnn_learns():
    scenes = find_source("scenes").load(None, Shape((3, 64, 64)))
    recipe = Recipe(epochs=4, batch=16, samples=64, from_float=False, learning_rate=3e-3)
    made = train(Job(find_binarizer("react"), find_architecture("faster-rcnn"), scenes, recipe, small=True))
    assert made.losses[-1] < 0.8 * made.losses[0]
    assert 0 <= made.score <= 100
