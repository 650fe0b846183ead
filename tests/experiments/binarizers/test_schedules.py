"""What changes over epochs: ReCU's τ, FDA's terms and noise, IR-Net's t, RBNN's t and rotations."""

import pytest
import torch
from torch import nn

from experiments.binarizers.catalog import BINARIZERS, find_binarizer
from experiments.binarizers.gradient_error.fda import share_of, terms_of
from experiments.binarizers.gradient_error.ir_net import t_of
from experiments.binarizers.gradient_error.recu import tau_of
from experiments.binarizers.quantization_error.rbnn import nearest_rotation, rows_and_columns


def test_tau_rises_from_its_first_to_its_last_value():
    assert tau_of(0, 100) == pytest.approx(0.85)
    assert tau_of(100, 100) == pytest.approx(0.99)
    assert tau_of(50, 100) == pytest.approx(0.14 / 1.718281828 * (1.648721271 - 1) + 0.85)


def test_fda_uses_more_terms_and_less_noise_and_ends_binary():
    assert [terms_of(epoch, 100) for epoch in (0, 50, 99)] == [9, 13, 17]
    assert share_of(99, 100) == pytest.approx(0, abs=1e-12)
    assert share_of(49, 100) == pytest.approx(0.05)


def test_noise_is_there_in_training_and_never_in_evaluation():
    binarizer = find_binarizer("fda")
    torch.manual_seed(0)
    layer = binarizer.conv2d(4, 4, 3)
    x = torch.randn(2, 4, 5, 5)
    binarizer.on_epoch(layer, 0, 10)
    with torch.no_grad():
        assert len(layer.train().inputs(x).unique()) > 2
        assert len(layer.eval().inputs(x).unique()) == 2
        binarizer.on_epoch(layer, 9, 10)
        torch.testing.assert_close(layer.train()(x), layer.eval()(x))


def test_the_estimator_of_ir_net_sharpens_a_hundredfold():
    assert t_of(0, 100) == pytest.approx(0.1)
    assert t_of(50, 100) == pytest.approx(1)
    assert t_of(100, 100) == pytest.approx(10)


def test_rotations_stay_orthogonal_and_bring_weights_closer_to_their_signs():
    binarizer = find_binarizer("rbnn")
    torch.manual_seed(0)
    layer = binarizer.conv2d(4, 8, 3)
    module = layer.weights

    def distance():
        rotated = (module.left.t() @ module.matrices(layer.weight.detach()) @ module.right).detach()
        return float((rotated.sign() - rotated).square().sum())

    before = distance()
    binarizer.on_epoch(layer, 0, 10)
    assert distance() < before
    for rotation in (module.left, module.right):
        torch.testing.assert_close(rotation.t() @ rotation, torch.eye(len(rotation)))


def test_a_filter_is_cut_into_the_squarest_matrix():
    assert [rows_and_columns(count) for count in (9, 36, 576, 7)] == [(3, 3), (6, 6), (24, 24), (1, 7)]


def test_the_nearest_rotation_of_a_rotation_is_itself():
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(0)))[0]
    torch.testing.assert_close(nearest_rotation(3 * rotation), rotation)


@pytest.mark.parametrize("binarizer", BINARIZERS, ids=lambda binarizer: binarizer.name)
def test_schedules_run_over_any_model(binarizer):
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), binarizer.conv2d(4, 4, 3), binarizer.linear(3, 3))
    for epoch in range(3):
        binarizer.on_epoch(model, epoch, 3)


@pytest.mark.parametrize(("name", "clipped"), [("bnn", True), ("binaryconnect", True), ("lab", True), ("bwn", False)])
def test_some_methods_clip_latent_weights_after_an_update(name, clipped):
    binarizer = find_binarizer(name)
    model = nn.Sequential(binarizer.linear(3, 1), nn.Linear(1, 1))
    model[0].weight.data = torch.tensor([[-2.0, 0.5, 1.5]])
    model[1].weight.data.fill_(5.0)
    binarizer.on_update(model)
    assert model[0].weight.tolist() == ([[-1, 0.5, 1]] if clipped else [[-2, 0.5, 1.5]])
    assert model[1].weight.tolist() == [[5]]
