"""A lab on the loopback: a tracker, this machine's own board server, and an artifact for it."""

import contextlib
import hashlib
import subprocess
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tvm
from tvm import relax

from rpc.boards import libbnn
from rpc.boards.board_server import PROGRAM, board_server
from rpc.measuring import reference_samples
from rpc.measuring.reference_samples import ReferenceSamples
from rpc.tracking.local_tracker import local_tracker, wait_for_devices
from schedules.machines import host
from schedules.machines.link import linker
from schedules.machines.target import find_target
from tvm_bnn.deployment.seal import FORMAT_VERSION, sealed

#: Servers ask the tracker so often in tests, where everything is near.
PING_MS = "200"


@pytest.fixture(scope="session")
def server_folder():
    return board_server(host.machine())


@pytest.fixture(scope="session")
def running():
    """Run a native server in a ``with`` statement, at any tracker."""
    return running_server


@pytest.fixture
def tracker():
    with local_tracker() as address:
        yield address


@pytest.fixture
def offer(server_folder, tracker, tmp_path):
    """Start native servers: ``offer("key", "--option", "value")`` returns the process once it is free."""
    with contextlib.ExitStack() as stack:
        yield lambda key, *options, **more: stack.enter_context(
            running_server(server_folder, tracker, key, tmp_path, *options, **more)
        )


@contextlib.contextmanager
def running_server(folder, tracker, key, work, *options, environment=None, wait=True, secret=b""):
    words = ["--key", key, "--tracker", str(tracker), "--folder", str(work), "--ping-ms", PING_MS, *options]
    process = subprocess.Popen([str(folder / PROGRAM), *words], env=environment)
    try:
        if wait:
            wait_for_devices(tracker, [key], secret=secret)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def artifact(tmp_path_factory):
    """``(a, b) -> (a + b, -a)`` for this machine, with samples beside it."""
    return make_artifact(tmp_path_factory.mktemp("artifact") / "sums.so", find_target("native"))


@pytest.fixture(scope="session")
def artifact_for():
    """Make such an artifact elsewhere, for another target or with other facts in its manifest."""
    return make_artifact


@pytest.fixture(scope="session")
def deployed_artifact_for():
    """Make such an artifact for a target without TVM: a deployed model."""
    return make_deployed_artifact


def make_artifact(path, target, **changes):
    build_sums(path, target)
    return finish_artifact(path, target, **changes)


def make_deployed_artifact(path, target, **changes):
    link = linker(target.link_triple)
    link(str(path), [str(Path(__file__).with_name("sums.c"))], ["-std=gnu11", "-O2", f"-I{libbnn.FOLDER}"])
    path.write_bytes(sealed(path.read_bytes(), target.machine, ()))
    return finish_artifact(path, target, **{"bnn_format": FORMAT_VERSION} | changes)


def finish_artifact(path, target, **changes):
    """Put a manifest behind a library, and samples beside it."""
    library = path.read_bytes()
    tensor = {"shape": [1, 3], "dtype": "float32"}
    manifest = {
        "model": "sums",
        "target": target.name,
        "machine": target.machine,
        "isa": target.isa.name,
        "inputs": [{"name": name, **tensor} for name in "ab"],
        "outputs": [{"name": f"output{index}", **tensor} for index in range(2)],
        "kernels": [
            {"layer": "total", "function": "add", "choice": "loops"},
            {"layer": "minus", "function": "tir_negative", "choice": "loops"},
        ],
        "versions": {"apache-tvm": "0.27.0", "apache-tvm-ffi": "0.1.14"},
        "library_bytes": len(library),
        "library_sha256": hashlib.sha256(library).hexdigest(),
    }
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr("manifest.json", msgspec.json.encode(manifest | changes))
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(5, 3)).astype(np.float32) for _ in range(2))
    samples = ReferenceSamples((a, b), (a + b, -a), 1e-6, 0.0)
    reference_samples.beside(path).write_bytes(reference_samples.encode(samples))
    return path


def build_sums(path, target):
    builder = relax.BlockBuilder()
    a, b = (relax.Var(name, relax.TensorType((1, 3), "float32")) for name in "ab")
    with builder.function("main", [a, b]):
        with builder.dataflow():
            total = builder.emit(relax.op.add(a, b))
            minus = builder.emit(relax.op.negative(a))
            result = builder.emit_output(builder.emit(relax.Tuple([total, minus])))
        builder.emit_func_output(result)
    executable = relax.build(builder.get(), target=tvm.target.Target(target.tvm), exec_mode="compiled")
    executable.export_library(str(path), fcompile=linker(target.link_triple))
