"""How well a network does on a test set, whether PyTorch runs it or it was compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from experiments.data.dataset import Array, Split
from experiments.training.job import Job
from experiments.training.objectives import objective
from experiments.training.objectives.regions import in_two_stages, takes_regions

_BATCH = 128


def evaluate(job: Job, model: nn.Module, split: Split | None = None) -> float:
    """Return a network's score in percent on the test split, or on another one."""

    def call(*inputs: torch.Tensor) -> tuple[Array, ...]:
        with torch.no_grad():
            return tuple(output.numpy() for output in objective.outputs_of(model(*inputs)))

    return evaluate_calls(job, model, call, split)


def evaluate_calls(
    job: Job, model: nn.Module, call: Callable[..., tuple[Array, ...]], split: Split | None = None
) -> float:
    """Return the score of whatever takes a network's inputs and returns its outputs.

    Parameters
    ----------
    job
        Of the network.
    model
        Knows a detector's anchors; it is not called.
    call
        Takes tensors, returns arrays.
    split
        The test split if None.
    """
    chosen = job.dataset.test if split is None else split
    anchors = objective.anchors_of(model)
    if takes_regions(job.architecture):
        call = in_two_stages(call, anchors)
    outputs, wanted = [], []
    for numbers in batches(len(chosen), _BATCH):
        raw, targets = chosen[numbers]
        outputs.append(call(*job.features(raw)))
        wanted.append(targets)
    return objective.score(job.dataset, outputs, wanted, anchors)


def batches(count: int, size: int) -> Iterator[list[int]]:
    """Yield the numbers below ``count`` in order, so many at once."""
    for at in range(0, count, size):
        yield list(range(at, min(at + size, count)))


def test_inputs(job: Job, count: int) -> tuple[tuple[torch.Tensor, ...], Any]:
    """Return the first test samples as the network takes them, and their targets."""
    raw, targets = job.dataset.test[list(range(min(count, len(job.dataset.test))))]
    return job.features(raw), targets
