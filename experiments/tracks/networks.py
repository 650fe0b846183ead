"""Trained networks: each is trained once, kept as a checkpoint, and shared by all cells and tracks that need it."""

from __future__ import annotations

import dataclasses
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from torch import nn

from experiments.architectures.catalog import find_architecture
from experiments.binarizers.catalog import FLOAT, find_binarizer
from experiments.tracks.plan import Plan, load_data
from experiments.tracks.result import Cell
from experiments.training import checkpoint
from experiments.training.job import Job
from experiments.training.key import key_of, plain
from experiments.training.loop import train
from experiments.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Network:
    """A trained network in evaluation mode.

    Parameters
    ----------
    job
        How it came about.
    model
        The network.
    score
        On the whole test split, in percent.
    seconds
        That its training took on the machine that did it.
    key
        Tells it from all others.
    """

    job: Job
    model: nn.Module
    score: float
    seconds: float
    key: str


def job_of(plan: Plan, cell: Cell, recipe: Recipe | None = None) -> Job:
    """Return the training that a cell is about."""
    workload = plan.workload(cell.data)
    architecture = find_architecture(cell.architecture)
    data = load_data(workload, architecture)
    recipe = recipe or dict(plan.recipes).get(data.task, plan.recipe)
    return Job(find_binarizer(cell.algorithm), architecture, data, recipe, workload.small)


def trained(plan: Plan, cell: Cell, recipe: Recipe | None = None) -> Network:
    """Return a cell's network, trained now if no other cell needed it before.

    Several processes may ask for the same one: one trains, the others wait. A training that was killed goes on from
    its last whole epoch.
    """
    job = job_of(plan, cell, recipe)
    key = key_of(job, plan.workload(job.dataset.name).folder)
    folder = Path(plan.folder) / "models"
    with _alone(folder / f"{key}.lock"):
        done = checkpoint.load(folder / f"{key}.pt")
        if done is not None:
            model = job.build()
            job.binarizer.on_epoch(model, max(0, job.recipe.epochs - 1), max(1, job.recipe.epochs))
            model.load_state_dict(done["model"])
            return Network(job, model.eval(), done["score"], done["seconds"], key)
        twin = _twin(plan, cell, job)
        partial = folder / f"{key}.partial.pt"
        made = train(
            job,
            partial,
            start=twin if job.recipe.from_float else None,
            teacher=twin if job.recipe.distillation else None,
        )
        content = {"model": made.model.state_dict(), "score": made.score, "seconds": made.seconds}
        checkpoint.save(folder / f"{key}.pt", {**content, "losses": list(made.losses)})
        partial.unlink(missing_ok=True)
    return Network(job, made.model, made.score, made.seconds, key)


def _twin(plan: Plan, cell: Cell, job: Job) -> nn.Module | None:
    """Return the full-precision twin if the recipe wants it, to start from or to learn from."""
    wanted = job.recipe.from_float or job.recipe.distillation
    if not wanted or cell.algorithm == FLOAT.name:
        return None
    return trained(plan, msgspec.structs.replace(cell, algorithm=FLOAT.name), plain(job.recipe)).model


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time in; the system lets go of the lock of a process that was killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
