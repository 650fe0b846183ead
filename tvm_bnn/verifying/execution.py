"""Execute what was compiled for any target, natively or under emulation, in a process without Python."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from rpc.boards import emulation
from schedules.machines import host
from schedules.machines.target import Target
from tvm_bnn.artifacts.artifact import Manifest
from tvm_bnn.deployment.execution import run_deployed

Array = npt.NDArray[Any]


def not_executable(target: Target) -> str | None:
    """Return None if artifacts for a target can be executed here, else one line that says why not.

    It may take a while: the first call for a machine downloads TVM's runtime for it.
    """
    if target.machine == host.machine() and not target.runs_here:
        return f"this CPU lacks what target '{target.name}' needs, so the artifact is not executed here"
    if target.runtime == "tvm":
        return emulation.prepare(target.machine)
    missing = emulation.no_emulator(target.machine)
    return None if missing is None else f"{missing}, so the artifact is not executed here"


def run_library(
    library: bytes, manifest: Manifest, target: Target, calls: Sequence[Sequence[Array]]
) -> list[list[Array]]:
    """Run an artifact's library on the inputs of several calls and return the outputs of each.

    Raises
    ------
    UserError
        If the run fails.
    """
    if target.runtime == "libbnn":
        return run_deployed(library, manifest, target, calls)
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        path = Path(folder) / "model.so"
        path.write_bytes(library)
        return emulation.run(path, target.machine, target.emulated_cpu, calls)
