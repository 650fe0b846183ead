"""One architecture: a builder that takes any binarizer, in its full and in a small size, and inputs that fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer

Kind: TypeAlias = Literal["cnn", "transformer", "mlp"]
Task: TypeAlias = Literal["image", "detection", "points", "text", "audio", "matting"]
#: Builds a network: binarizer, classes, small.
Maker: TypeAlias = Callable[[Binarizer, int, bool], nn.Module]
SEED = 0


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """One input without its batch axis.

    Parameters
    ----------
    shape
        Of a sample.
    vocabulary
        Positive for word numbers, which are below it.
    """

    shape: tuple[int, ...]
    vocabulary: int = 0

    def draw(self, batch: int, generator: torch.Generator) -> torch.Tensor:
        """Return N(0, 1) float32, or int64 word numbers."""
        if self.vocabulary:
            return torch.randint(self.vocabulary, (batch, *self.shape), generator=generator)
        return torch.randn(batch, *self.shape, generator=generator)


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One architecture of the benchmark.

    Parameters
    ----------
    name
        As tables and the command line call it.
    kind
        What BiBench's architecture track counts it as.
    task
        What it is for, and with that what goes in and comes out.
    paper
        Its citation.
    make
        Builds it.
    inputs, small_inputs
        What it takes in its full and in its small size.
    """

    name: str
    kind: Kind
    task: Task
    paper: str
    make: Maker
    inputs: tuple[InputSpec, ...]
    small_inputs: tuple[InputSpec, ...]

    def build(self, binarizer: Binarizer, *, classes: int, small: bool = False) -> nn.Module:
        """Return the network with random weights from PyTorch's generator, in training mode.

        It has run once on an example, so that scales which are as large as an output know their size.
        """
        model = self.make(binarizer, classes, small)
        with torch.no_grad():
            model.eval()(*self.example_input(small=small))
        return model.train()

    def example_input(self, batch: int = 1, *, small: bool = False, seed: int = SEED) -> tuple[torch.Tensor, ...]:
        """Return random inputs, the same for the same seed."""
        generator = torch.Generator().manual_seed(seed)
        return tuple(spec.draw(batch, generator) for spec in (self.small_inputs if small else self.inputs))
