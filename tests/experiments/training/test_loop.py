"""Training is decided by its seed, survives a kill, and is the same on several processes' shares."""

import dataclasses
from pathlib import Path

import pytest
import torch

from experiments.architectures.catalog import find_architecture
from experiments.binarizers.catalog import FLOAT, find_binarizer
from experiments.binarizers.parts.layer import BinaryLayer, Real
from experiments.data.catalog import Shape, find_source
from experiments.training import checkpoint
from experiments.training.job import Job, start_from
from experiments.training.loop import steps_of, train
from experiments.training.real_weights import real_weights
from experiments.training.recipe import Recipe
from schedules.errors import UserError

RECIPE = Recipe(epochs=3, samples=128, batch=32, learning_rate=3e-3)


@pytest.fixture(scope="module")
def digits():
    return find_source("digits").load(Path(), Shape((1, 16, 16)))


def job(digits, name="bnn", **changes):
    recipe = dataclasses.replace(RECIPE, **changes)
    return Job(find_binarizer(name), find_architecture("resnet-20"), digits, recipe, small=True)


def weights(model):
    return torch.cat([value.flatten().float() for value in model.state_dict().values()])


class KilledError(Exception):
    pass


class Killer:
    """Ends a training in the middle of an epoch."""

    def __init__(self, steps):
        self.steps = steps

    def step(self, loss):
        self.steps -= 1
        if not self.steps:
            raise KilledError

    def epoch(self, epoch, seconds):
        pass


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"no" + data])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    path = tmp_path / "network.pt"
    checkpoint.save(path, {"epoch": 3})
    assert checkpoint.load(path) == {"epoch": 3}
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"checkpoint '.*network\.pt' is damaged .*: delete it"):
        checkpoint.load(path)


def test_the_seed_decides_and_the_loss_falls(digits):
    one, other = train(job(digits)), train(job(digits))
    assert torch.equal(weights(one.model), weights(other.model))
    assert not torch.equal(weights(one.model), weights(train(job(digits, seed=1)).model))
    assert one.losses[-1] < one.losses[0]


@pytest.mark.parametrize("changes", [{}, {"two_stage": True, "optimizer": "sgd", "schedule": "step"}])
def test_a_killed_training_goes_on_to_the_same_weights(digits, changes, tmp_path):
    whole = train(job(digits, **changes))
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KilledError):
        train(job(digits, **changes), path, watcher=Killer(10))  # in the third epoch of four steps
    resumed = train(job(digits, **changes), path)
    assert torch.equal(weights(whole.model), weights(resumed.model))
    assert whole.losses == resumed.losses


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"a": torch.ones(2)})
    with pytest.raises(Exception, match=r"pickle|local"):
        checkpoint.save(path, {"a": lambda: None})
    assert torch.equal(checkpoint.load(path)["a"], torch.ones(2))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_the_first_stage_multiplies_by_latent_weights(digits):
    model = job(digits).build()
    layers = [module for module in model.modules() if isinstance(module, BinaryLayer)]
    before = [layer.weights for layer in layers]
    with real_weights(model):
        assert all(isinstance(layer.weights, Real) for layer in layers)
    assert all(layer.weights is kept for layer, kept in zip(layers, before, strict=True))
    with real_weights(model, wanted=False):
        assert all(layer.weights is kept for layer, kept in zip(layers, before, strict=True))


def test_a_binary_network_starts_from_the_weights_of_its_twin(digits):
    twin = dataclasses.replace(job(digits), binarizer=FLOAT).build()
    model = job(digits).build()
    assert start_from(model, twin) >= len(list(twin.parameters()))
    latent = [module.weight for module in model.modules() if isinstance(module, BinaryLayer)]
    assert torch.equal(latent[0], twin.state_dict()["1.0.first.0.weight"])


def test_distillation_changes_what_is_learnt(digits):
    twin = train(dataclasses.replace(job(digits), binarizer=FLOAT)).model
    alone, taught = train(job(digits)), train(job(digits, distillation=1.0), teacher=twin)
    assert taught.losses[0] > alone.losses[0]  # a second loss is added
    assert not torch.equal(weights(alone.model), weights(taught.model))


def test_steps_are_whole_batches_of_the_samples_that_are_used(digits):
    assert steps_of(job(digits)) == 4
    assert steps_of(job(digits, samples=100)) == 3
    assert steps_of(job(digits, steps=2)) == 2
    assert steps_of(job(digits, samples=5)) == 1


@pytest.mark.parametrize(("name", "clipped"), [("bnn", True), ("bireal", False)])
def test_latent_weights_are_clipped_after_each_update_by_the_methods_that_do_so(digits, name, clipped):
    model = train(job(digits, name, epochs=1, learning_rate=0.5)).model
    latent = [layer.weight.detach() for layer in model.modules() if isinstance(layer, BinaryLayer)]
    assert all(float(weight.abs().max()) <= 1 for weight in latent) == clipped
