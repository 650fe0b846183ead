"""Hold a deployed model against the artifact of the same compilation: the same numbers, bit by bit."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import tvm

from rpc import emulation
from schedules.errors import UserError
from schedules.link import Toolchain
from schedules.target import Target
from tvm_bnn.artifact import Manifest, TensorSpec, write_atomically
from tvm_bnn.deployment.folder import deploy
from tvm_bnn.deployment.sizes import Deployed

Array = npt.NDArray[Any]


def deploy_checked(
    module: tvm.IRModule, manifest: Manifest, library: bytes, target: Target, folder: Path, toolchain: Toolchain
) -> Deployed:
    """Write the folder of :func:`deploy`, run what is in it, and add ``sizes.json``.

    Raises
    ------
    UserError
        As ``deploy`` does, or if an output differs from the artifact's; the model is not left in the folder then.
    """
    deployed = deploy(module, manifest, target, folder, toolchain)
    try:
        found = check(deployed, manifest, library, target)
    except UserError:
        (folder / deployed.model).unlink()
        raise
    deployed = msgspec.structs.replace(deployed, checked=found)
    write_atomically(folder / "sizes.json", msgspec.json.format(msgspec.json.encode(deployed), indent=2))
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
    command = [
        *emulation.emulator(target.machine, target.emulated_cpu),
        str(folder / deployed.example),
        str(folder / deployed.model),
        str(threads),
    ]
    data = b"".join(np.ascontiguousarray(array).tobytes() for call in calls for array in call)
    finished = subprocess.run(command, input=data, capture_output=True, check=False)
    if finished.returncode:
        said = finished.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(f"deploy: {' '.join(command)} failed: {said[-1] if said else finished.returncode}")
    return _outputs(finished.stdout, manifest.outputs, len(calls))


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


def check(deployed: Deployed, manifest: Manifest, library: bytes, target: Target) -> str:
    """Run both on the same inputs; return one line about what was found, or why nothing was.

    Raises
    ------
    UserError
        If an output differs.
    """
    missing = emulation.prepare_for(target)
    if missing is not None:
        return f"not checked: {missing}"
    calls = [random_inputs(manifest.inputs, seed) for seed in range(3)]
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        path = Path(folder) / "model.so"
        path.write_bytes(library)
        expected = emulation.run(path, target.machine, target.emulated_cpu, calls)
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
