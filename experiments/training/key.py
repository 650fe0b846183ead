"""The name of a trained network: all that decided it, so that nothing is taken for something else."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import msgspec

from experiments.binarizers.catalog import FLOAT
from experiments.training.job import Job
from experiments.training.recipe import Recipe
from tvm_bnn.version import __version__


def key_of(job: Job, folder: str = "") -> str:
    """Return a name that tells data, architecture and method, and differs with everything else that decides a network.

    Parameters
    ----------
    job
        The training.
    folder
        Where its data lies; empty for data that ships with the package.
    """
    place = str(Path(folder).resolve()) if folder else ""
    recipe = plain(job.recipe) if job.binarizer.name == FLOAT.name else job.recipe
    deciding = (recipe, place, job.small, __version__)
    digest = hashlib.sha256(msgspec.json.encode(deciding)).hexdigest()[:12]
    return f"{job.dataset.name}.{job.architecture.name}.{job.binarizer.name}.{digest}"


def plain(recipe: Recipe) -> Recipe:
    """Return the recipe by which a full-precision network is trained: no stages, no twin."""
    return dataclasses.replace(recipe, two_stage=False, distillation=0.0, from_float=False)
