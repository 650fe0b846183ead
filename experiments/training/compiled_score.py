"""The same test set, run by what was compiled."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import nn

from experiments.data.dataset import Array
from experiments.training.evaluation import evaluate_calls, test_inputs
from experiments.training.job import Job
from tvm_bnn.artifacts.runtime import load
from tvm_bnn.compile.compiler import Compiled, compile_model
from tvm_bnn.verifying.samples import Samples

_VERIFIED = 64


@dataclasses.dataclass(frozen=True)
class CompiledScore:
    """What was compiled, and its score in percent on the whole test split."""

    compiled: Compiled
    score: float


def compiled_score(job: Job, model: nn.Module, path: Path) -> CompiledScore:
    """Compile a network for this machine, verify it on test samples, and test it on all of them.

    Raises
    ------
    UserError
        If it cannot be compiled, or disagrees with PyTorch.
    """
    inputs, _ = test_inputs(job, _VERIFIED)
    samples = Samples(tuple(x.numpy() for x in inputs), f"test samples of {job.dataset.name}")
    compiled = compile_model(model, tuple(x[:1] for x in inputs), output=path, samples=samples)
    loaded = load(compiled.path)

    def call(*tensors: torch.Tensor) -> tuple[Array, ...]:
        returned = loaded(*(x.numpy() for x in tensors))
        return tuple(np.asarray(y) for y in (returned if isinstance(returned, tuple) else (returned,)))

    return CompiledScore(compiled, evaluate_calls(job, model, call))
