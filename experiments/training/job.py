"""One training: a method, a network, data and a recipe; and the network that it starts from."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from experiments.architectures.architecture import Architecture
from experiments.binarizers.parts.binarizer import Binarizer
from experiments.data.dataset import Dataset
from experiments.training.features import Features, features_for
from experiments.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Job:
    """A training.

    Parameters
    ----------
    binarizer, architecture, small
        The network.
    dataset
        What it learns and is tested on.
    recipe
        How.
    """

    binarizer: Binarizer
    architecture: Architecture
    dataset: Dataset
    recipe: Recipe
    small: bool = False

    @property
    def name(self) -> str:
        """As progress shows it."""
        return f"{self.binarizer.name} {self.architecture.name} on {self.dataset.name}"

    @property
    def features(self) -> Features:
        """What prepares samples."""
        return features_for(self.architecture, self.dataset, self.small)

    def build(self) -> nn.Module:
        """Return the network with the weights that the seed gives."""
        torch.manual_seed(self.recipe.seed)
        return self.architecture.build(self.binarizer, classes=len(self.dataset.classes), small=self.small)


def start_from(model: nn.Module, trained: nn.Module) -> int:
    """Copy what a trained network and this one have in common, name by name, and return how many tensors that were.

    A binarized network starts from its full-precision twin, as in BiBench.
    """
    state, source = model.state_dict(), trained.state_dict()
    common = {name: value for name, value in source.items() if name in state and state[name].shape == value.shape}
    model.load_state_dict(common, strict=False)
    return len(common)
