"""The training loop: deterministic by its seed, and resumed from the last whole epoch after a kill."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from experiments.data.dataset import first
from experiments.training import checkpoint
from experiments.training.evaluation import evaluate
from experiments.training.features import augmented
from experiments.training.job import Job, start_from
from experiments.training.objectives import objective
from experiments.training.objectives.distillation import distilled
from experiments.training.objectives.regions import as_input, learnt_regions, takes_regions
from experiments.training.optimizing import make_optimizer, make_schedule
from experiments.training.processes import Processes
from experiments.training.real_weights import real_weights

_STAGE_SEED = 1_000_000
_PICTURES = 4  # axes


class Watcher(Protocol):
    """Whom the loop tells how far it is."""

    def step(self, loss: float) -> None:
        """Take the loss of a step."""

    def epoch(self, epoch: int, seconds: float) -> None:
        """Take the end of an epoch."""


class _Silent:
    def step(self, loss: float) -> None:
        pass

    def epoch(self, epoch: int, seconds: float) -> None:
        pass


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained network in evaluation mode, its test score in percent, and the seconds that its steps took."""

    model: nn.Module
    score: float
    seconds: float
    losses: tuple[float, ...]


def train(
    job: Job,
    path: Path | None = None,
    *,
    start: nn.Module | None = None,
    teacher: nn.Module | None = None,
    processes: Processes | None = None,
    watcher: Watcher | None = None,
) -> Trained:
    """Train a network.

    Parameters
    ----------
    job
        What.
    path
        The checkpoint, written after every epoch; a training that was killed continues from it, to the same result.
    start
        A network whose weights it starts from.
    teacher
        Whose predictions it learns besides, if the recipe says how much.
    processes
        Of this training.
    watcher
        Is told how far it is.
    """
    run = _Run(job, processes or Processes(), watcher or _Silent(), teacher, job.build())
    if start is not None:
        start_from(run.model, start)
    run.restore(checkpoint.load(path) if path is not None else None)
    for stage, (epochs, real) in enumerate(job.recipe.stages):
        run.stage(stage, epochs, real, path)
    laid_out_model(run.model.to("cpu"), torch.contiguous_format).eval()
    return Trained(run.model, evaluate(job, run.model), run.seconds, tuple(run.losses))


def steps_of(job: Job) -> int:
    """Return the steps an epoch; the last, smaller batch is left out unless it is the only one."""
    samples = min(len(job.dataset.train), job.recipe.samples or len(job.dataset.train))
    steps = max(1, samples // job.recipe.batch)
    return steps if job.recipe.steps is None else min(steps, job.recipe.steps)


def laid_out(x: torch.Tensor) -> torch.Tensor:
    """Return pictures with channels innermost in memory, a third of a convolution's time on CPUs; else what came."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == _PICTURES else x


def laid_out_model(model: nn.Module, layout: torch.memory_format) -> nn.Module:
    """Return the network with the weights of its convolutions in that layout."""
    for parameter in model.parameters():
        if parameter.dim() == _PICTURES:
            parameter.data = parameter.data.contiguous(memory_format=layout)
    return model


class _Run:
    """A training under way."""

    def __init__(
        self, job: Job, processes: Processes, watcher: Watcher, teacher: nn.Module | None, model: nn.Module
    ) -> None:
        self.job, self.processes, self.watcher = job, processes, watcher
        self.model = laid_out_model(model.to(processes.device), torch.channels_last)
        self.teacher = None if teacher is None else teacher.to(processes.device).eval()
        self.split = first(job.dataset.train, job.recipe.samples)
        self.features = job.features
        self.steps = steps_of(job)
        self.done = (0, 0)  # stage and epoch that come next
        self.state: dict[str, Any] = {}
        self.losses: list[float] = []
        self.seconds = 0.0

    def restore(self, saved: dict[str, Any] | None) -> None:
        """Go to where a checkpoint was written."""
        if saved is None:
            return
        self.model.load_state_dict(saved["model"])
        self.done, self.seconds, self.losses = tuple(saved["next"]), saved["seconds"], list(saved["losses"])
        self.state = saved
        torch.set_rng_state(saved["generator"])

    def stage(self, stage: int, epochs: int, real: bool, path: Path | None) -> None:
        """Train the epochs of a stage that are not done."""
        at, epoch = self.done
        if stage < at:
            return
        optimizer = make_optimizer(self.job.recipe, self.model)
        schedule = make_schedule(self.job.recipe, optimizer, epochs * self.steps)
        if epoch:
            optimizer.load_state_dict(self.state["optimizer"])
            schedule.load_state_dict(self.state["schedule"])
        for number in range(epoch, epochs):
            with real_weights(self.model, real):
                self.epoch(stage, number, epochs, optimizer, schedule)
            self.done = (stage, number + 1) if number + 1 < epochs else (stage + 1, 0)
            self.save(path, optimizer, schedule)

    def epoch(self, stage: int, number: int, epochs: int, optimizer: Any, schedule: Any) -> None:
        """Train one epoch."""
        self.job.binarizer.on_epoch(self.model, number, epochs)
        model = self.processes.joined(self.model.train())
        started = time.perf_counter()
        total = 0.0
        for numbers, rng in self.batches(stage * _STAGE_SEED + number):
            value = self.loss(model, numbers, rng)
            optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            self.job.binarizer.on_update(self.model)
            schedule.step()
            total += value.item()
            self.watcher.step(value.item())
        self.seconds += time.perf_counter() - started
        self.losses.append(total / self.steps)
        self.watcher.epoch(number, self.seconds)

    def batches(self, epoch: int) -> Iterator[tuple[list[int], np.random.Generator]]:
        """Yield this process's part of each batch of an epoch, in an order that seed and epoch decide."""
        recipe = self.job.recipe
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(self.split))
        for step in range(self.steps):
            rng = np.random.default_rng([recipe.seed, epoch, step, self.processes.rank])
            yield self.processes.share(order[step * recipe.batch : (step + 1) * recipe.batch].tolist()), rng

    def loss(self, model: nn.Module, numbers: list[int], rng: np.random.Generator) -> torch.Tensor:
        """Return the loss of a batch, the teacher's part included."""
        raw, targets = self.split[numbers]
        inputs = [laid_out(x.to(self.processes.device)) for x in self.features(augmented(raw, self.job.dataset, rng))]
        anchors = objective.anchors_of(self.model)
        regions: list[torch.Tensor] = []
        if takes_regions(self.job.architecture):
            regions = [learnt_regions(targets, anchors, rng).to(self.processes.device)]
            inputs[1] = as_input(regions[0])
        outputs = objective.outputs_of(model(*inputs))
        value = objective.loss(self.job.dataset, (*outputs, *regions), targets, anchors)
        weight = self.job.recipe.distillation
        if self.teacher is None or not weight:
            return value
        with torch.no_grad():
            wanted = objective.outputs_of(self.teacher(*inputs))
        return value + weight * distilled(self.job.dataset, outputs, wanted)

    def save(self, path: Path | None, optimizer: Any, schedule: Any) -> None:
        """Write the checkpoint, by the leading process."""
        if path is None or not self.processes.leads:
            return
        content = {
            "model": self.model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "generator": torch.get_rng_state(),
            "next": list(self.done),
            "seconds": self.seconds,
            "losses": self.losses,
        }
        checkpoint.save(path, content)
