"""Hold a deployed model against the artifact of the same compilation: the same numbers, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import tvm

from schedules.errors import UserError
from schedules.files.whole_file import write_atomically
from schedules.machines.link import Toolchain
from schedules.machines.target import Target
from tvm_bnn.artifacts.artifact import Manifest, TensorSpec
from tvm_bnn.deployment.execution import run_program
from tvm_bnn.deployment.folder import deploy
from tvm_bnn.deployment.sizes import Deployed
from tvm_bnn.deployment.staging import staged
from tvm_bnn.verifying.execution import not_executable, run_library

Array = npt.NDArray[Any]


def deploy_checked(
    module: tvm.IRModule, manifest: Manifest, library: bytes, target: Target, folder: Path, toolchain: Toolchain
) -> Deployed:
    """Write the folder of :func:`deploy`, run what is in it, and add ``sizes.json``.

    Raises
    ------
    UserError
        As ``deploy`` does, or if an output differs from the artifact's; the folder is left as it was then.
    """
    with staged(folder) as staging:
        deployed = deploy(module, manifest, target, staging, toolchain)
        found = check(deployed, manifest, library, target)
        deployed = msgspec.structs.replace(deployed, folder=str(folder), checked=found)
        write_atomically(staging / "sizes.json", msgspec.json.format(msgspec.json.encode(deployed), indent=2))
    return deployed


def run_example(
    deployed: Deployed, manifest: Manifest, target: Target, calls: Sequence[Sequence[Array]], threads: int = 1
) -> list[list[Array]]:
    """Run the folder's example on the inputs of several calls, here or under emulation, and return their outputs.

    Raises
    ------
    UserError
        If it fails.
    """
    folder = Path(deployed.folder).resolve()
    return run_program(folder / deployed.example, folder / deployed.model, manifest, target, calls, threads)


def check(deployed: Deployed, manifest: Manifest, library: bytes, target: Target) -> str:
    """Run both on the same inputs; return one line about what was found, or why nothing was.

    Raises
    ------
    UserError
        If an output differs.
    """
    missing = not_executable(target)
    if missing is not None:
        return f"not checked: {missing}"
    calls = [random_inputs(manifest.inputs, seed) for seed in range(3)]
    expected = run_library(library, manifest, target, calls)
    found = run_example(deployed, manifest, target, calls)
    for wanted, got in zip(expected, found, strict=True):
        for spec, left, right in zip(manifest.outputs, wanted, got, strict=True):
            if left.tobytes() != right.tobytes():
                raise UserError(f"deploy: '{spec.name}' of the deployed model differs from the artifact's")
    executed = "natively" if target.runs_here else "under emulation"
    return f"the same bytes as the artifact's on {len(calls)} random inputs, executed {executed}"


def random_inputs(specs: Sequence[TensorSpec], seed: int) -> list[Array]:
    """Return inputs of the model's shapes; integers are zeros, because they may be indices."""
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal(spec.shape).astype(spec.dtype)
        if spec.dtype.startswith("float")
        else np.zeros(spec.shape, spec.dtype)
        for spec in specs
    ]
