"""Compiled networks: each is compiled once and shared by the tracks that measure it or count in it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np

from experiments.tracks.networks import Network
from experiments.training.evaluation import test_inputs
from schedules.machines.target import Target, find_target
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.compile.reporting.compilation_report import Report
from tvm_bnn.verifying.samples import Samples

#: Test samples that the compiled network is held against PyTorch on.
_VERIFIED = 16


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A compiled network and its report."""

    path: Path
    report: Report


def compiled(folder: Path, network: Network, target: str | Target = "native", verify: bool = True) -> Artifact:
    """Return a network's artifact for a target, compiled now if it was not before; verified on test samples.

    Raises
    ------
    UserError
        If it cannot be compiled, has no binary layer, or disagrees with PyTorch.
    """
    goal = target if isinstance(target, Target) else find_target(target)
    path = folder / "artifacts" / f"{network.key}.{goal.name}.so"
    stored = path.with_suffix(".report.json")
    if path.exists() and stored.exists():
        return Artifact(path, msgspec.json.decode(stored.read_bytes(), type=Report))
    inputs, targets = test_inputs(network.job, _VERIFIED)
    labels = targets if isinstance(targets, np.ndarray) and targets.ndim == 1 else None
    samples = Samples(tuple(x.numpy() for x in inputs), f"test samples of {network.job.dataset.name}", labels)
    example = tuple(x[:1] for x in inputs)
    made = compile_model(network.model, example, target=goal, output=path, samples=samples, verify=verify)
    return Artifact(made.path, made.report)
