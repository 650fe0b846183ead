"""Checkpoints as training scripts write them, and those that do not fit."""

import argparse

import pytest
import torch
from torch import nn

from schedules.errors import UserError
from tvm_bnn.front_ends.torch_model.files.checkpoint import load_weights


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def complaint_of(module, path):
    with pytest.raises(UserError) as caught:
        load_weights(module, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def under(prefix, weights):
    return {f"{prefix}{name}": value for name, value in weights.items()}


def parallel(weights):
    return under("module.", weights)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda weights: weights,
        lambda weights: {"state_dict": weights, "epoch": 3, "best": 0.7},
        lambda weights: {"model": weights, "optimizer": {"lr": 0.1}},
        lambda weights: {"model_state_dict": weights},
        lambda weights: {"net": parallel(weights), "acc": 93.1},
        lambda weights: {"state_dict": parallel(weights)},
        parallel,
        lambda weights: {"state_dict": weights, "best_acc1": torch.tensor(0.7)},
        lambda weights: {"best_acc1": torch.tensor(0.7), "model": parallel(weights), "epoch": 3},
        lambda weights: {"state_dict": under("model.", weights), "hyper_parameters": {}},
        lambda weights: {"state_dict": {**under("model.", weights), "loss.weight": torch.ones(3)}},
        lambda weights: under("_orig_mod.", weights),
        lambda weights: under("module._orig_mod.", weights),
        lambda weights: under("module.model.", weights),
        lambda weights: {name.replace(".", "._orig_mod.", 1): value for name, value in weights.items()},
        *(
            lambda weights, holder=holder: {holder: weights, "epoch": 1}
            for holder in ("ema", "model_ema", "state_dict_ema", "swa_state_dict")
        ),
        lambda weights: {"ema": {name: value + 1 for name, value in weights.items()}, "model": weights},
        lambda weights: {**parallel(weights), "n_averaged": torch.tensor(7)},
    ],
)
def test_the_weights_are_found_wherever_training_scripts_put_them(path, wrapped):
    source, module = network(), network()
    torch.save(wrapped(source.state_dict()), path)
    load_weights(module, path)
    assert all(torch.equal(module.state_dict()[name], value) for name, value in source.state_dict().items())


def test_a_prefix_that_is_the_modules_own_stays(path):
    source, module = nn.DataParallel(network()), nn.DataParallel(network())
    torch.save(source.state_dict(), path)
    load_weights(module, path)
    assert torch.equal(module.module[0].weight, source.module[0].weight)


def test_a_part_of_the_model_under_a_prefix_is_not_the_model(path):
    weights = under("model.", network().state_dict())
    del weights["model.0.bias"]
    torch.save({**weights, "loss.weight": torch.ones(3)}, path)
    assert "6 missing" in complaint_of(network(), path)


def test_other_weights_beside_a_prefix_are_not_dropped(path):
    torch.save({**network().state_dict(), "model.2.weight": torch.ones(3)}, path)
    assert "1 not in the model (model.2.weight)" in complaint_of(network(), path)


def test_half_precision_numbers_go_into_float32_parameters_as_they_are(path):
    module = network()
    weights = {name: value.half() for name, value in network().state_dict().items()}
    torch.save(weights, path)
    load_weights(module, path)
    assert module[0].weight.dtype == torch.float32
    assert torch.equal(module[0].weight, weights["0.weight"].float())


def test_faults_are_counted_and_the_first_are_named(path):
    weights = network().state_dict()
    del weights["0.bias"]
    weights["0.weight"] = torch.zeros(4, 5)
    weights.update({f"head.{k}": torch.zeros(1) for k in range(5)})
    torch.save(weights, path)
    text = complaint_of(network(), path)
    assert "1 missing (0.bias)" in text
    assert "5 not in the model (head.0, head.1, head.2 and 2 more)" in text
    assert "1 of another shape (0.weight 4x5 for 4x3)" in text


def test_a_pickle_of_more_than_tensors_is_refused_by_the_name_of_what_it_holds(path):
    torch.save({"state_dict": network().state_dict(), "args": argparse.Namespace(lr=1)}, path)
    text = complaint_of(network(), path)
    assert "hold more than tensors (argparse.Namespace)" in text
    assert "torch.save(model.state_dict(), 'weights.pth')" in text
    torch.save(network(), path)
    assert "hold more than tensors (torch.nn.modules.container.Sequential)" in complaint_of(network(), path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut short", bytes(300)])
def test_a_file_of_something_else(path, content):
    path.write_bytes(content)
    assert "are no checkpoint that torch reads" in complaint_of(network(), path)


def test_a_truncated_checkpoint(path):
    torch.save(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:900])
    assert "are no checkpoint that torch reads" in complaint_of(network(), path)


def test_a_missing_file_and_a_folder(tmp_path):
    assert "no such file" in complaint_of(network(), tmp_path / "absent.pth")
    assert "no such file" in complaint_of(network(), tmp_path)


@pytest.mark.parametrize(
    ("saved", "found"),
    [({"epoch": 3}, "a dict of 'epoch'"), ([1, 2], "a list"), ({}, "a dict of nothing"), (torch.ones(2), "a Tensor")],
)
def test_what_holds_no_state_dict_is_described(path, saved, found):
    torch.save(saved, path)
    assert f"hold {found}; expected a state dict" in complaint_of(network(), path)
