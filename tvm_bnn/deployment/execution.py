"""Run a deployed model by the example program, here or under QEMU's user emulation."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rpc.boards import emulation
from rpc.boards.libbnn import EXAMPLE, FOLDER, SOURCES, SYSTEM_LIBRARIES
from rpc.boards.runtime_libraries import cache_folder, cached
from schedules.errors import UserError
from schedules.machines.link import compile_program, link_triple
from schedules.machines.target import Target
from tvm_bnn.artifacts.artifact import Manifest, TensorSpec

Array = npt.NDArray[Any]


def run_deployed(
    model: bytes, manifest: Manifest, target: Target, calls: Sequence[Sequence[Array]]
) -> list[list[Array]]:
    """Run a deployed model on the inputs of several calls and return their outputs.

    The first call for a machine compiles the example program for it.

    Raises
    ------
    UserError
        If it fails.
    """
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        path = Path(folder) / f"{manifest.model}.bnn"
        path.write_bytes(model)
        return run_program(_example(target.machine), path, manifest, target, calls)


def run_program(
    program: Path,
    model: Path,
    manifest: Manifest,
    target: Target,
    calls: Sequence[Sequence[Array]],
    threads: int = 1,
) -> list[list[Array]]:
    """Run an example program on a deployed model and the inputs of several calls, and return their outputs.

    Raises
    ------
    UserError
        If it fails.
    """
    command = [*emulation.emulator(target.machine, target.emulated_cpu), str(program), str(model), str(threads)]
    data = b"".join(np.ascontiguousarray(array).tobytes() for call in calls for array in call)
    finished = subprocess.run(command, input=data, capture_output=True, check=False)
    if finished.returncode:
        said = finished.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(f"deploy: {' '.join(command)} failed: {said[-1] if said else finished.returncode}")
    return _outputs(finished.stdout, manifest.outputs, len(calls))


def _example(machine: str) -> Path:
    key = hashlib.sha256()
    for source in sorted(FOLDER.iterdir()):
        key.update(source.read_bytes())

    def build(folder: Path) -> None:
        sources = [EXAMPLE, *SOURCES]
        compile_program(
            sources, folder / "example", link_triple(machine), [FOLDER], [], system_libraries=SYSTEM_LIBRARIES
        )

    return cached(cache_folder() / "example" / f"{machine}-{key.hexdigest()[:16]}", build) / "example"


def _outputs(data: bytes, specs: Sequence[TensorSpec], calls: int) -> list[list[Array]]:
    each = sum(np.dtype(spec.dtype).itemsize * int(np.prod(spec.shape)) for spec in specs)
    if len(data) != each * calls:
        raise UserError(f"deploy: the example wrote {len(data)} bytes instead of {each * calls}")
    results, at = [], 0
    for _ in range(calls):
        arrays = []
        for spec in specs:
            count = int(np.prod(spec.shape))
            arrays.append(np.frombuffer(data, spec.dtype, count, at).reshape(spec.shape))
            at += arrays[-1].nbytes
        results.append(arrays)
    return results
