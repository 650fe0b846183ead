"""Run artifacts in a process without Python, and, where they are for another machine, under QEMU's user emulation.

An emulated processor executes the same instructions with the same results; its times say nothing about the real one,
so nothing here measures any.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rpc.boards.runtime_libraries import cache_folder, cached, include_folder, runtime_libraries
from rpc.formats.tensor_file import Array, decode, encode
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.link import compile_program, link_triple
from schedules.machines.target import runtime_of

_SOURCE = Path(__file__).parent.parent / "board" / "run_model.c"
_RUNNER = "run_model"
#: Machines that need no emulator to run what is for themselves.
_NATIVE = ("x86_64", "aarch64")
_SYSROOTS = {"aarch64": Path("/usr/aarch64-linux-gnu"), "armv7l": Path("/usr/arm-linux-gnueabihf")}
_PACKAGES = {"aarch64": "qemu-user and libstdc++6-arm64-cross", "armv7l": "qemu-user and libc6-armhf-cross"}
#: What programs need beside libc: TVM's runtime is C++.
_LIBRARIES = {"aarch64": "libstdc++.so.6", "armv7l": "libc.so.6"}
_QEMU_NAMES = {"armv7l": "arm"}


def unavailable(machine: str) -> str | None:
    """Return None if artifacts for a machine can be executed here, else one line that says what is missing."""
    if machine == host.machine() and machine in _NATIVE:
        return None
    missing = no_emulator(machine)
    if missing is None and runtime_of(machine) != "tvm":
        missing = f"TVM has no runtime for {machine}"
    return None if missing is None else f"{missing}, so the artifact is not executed here"


def no_emulator(machine: str) -> str | None:
    """Return None if programs for another machine can be emulated here, else what is missing, without a full stop."""
    if machine not in _SYSROOTS:
        return f"there is no emulated {machine} board"
    if _qemu(machine) is None or not (_SYSROOTS[machine] / "lib" / _LIBRARIES[machine]).exists():
        return f"Debian's {_PACKAGES[machine]} are not installed"
    return None


def prepare(machine: str) -> str | None:
    """Get ready to execute artifacts for a machine; return None, or one line that says why that is impossible.

    Unlike :func:`unavailable` it may take a while: the first call for a machine downloads TVM's runtime for it.
    """
    missing = unavailable(machine)
    if missing is not None:
        return missing
    try:
        _runner(machine)
    except UserError as error:
        return f"{error}, so the artifact is not executed here"
    return None


def run(
    library: Path, machine: str, cpu: str | None, calls: Sequence[Sequence[Array]], options: Sequence[str] = ()
) -> list[list[Array]]:
    """Run an artifact on the inputs of several calls, all in one process.

    Parameters
    ----------
    library
        An artifact, or the library inside it.
    machine
        What ``uname -m`` says where it belongs.
    cpu
        QEMU's name of the processor, which refuses instructions that the processor lacks; None for QEMU's default.
    calls
        The inputs of each call.
    options
        More of QEMU's options.

    Returns
    -------
    The outputs of each call.

    Raises
    ------
    UserError
        If the machine cannot be emulated here, or the run fails.
    """
    missing = unavailable(machine)
    if missing is not None:
        raise UserError(f"machine '{machine}': {missing}")
    program = _runner(machine)
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        inputs, outputs = Path(folder) / "calls", Path(folder) / "results"
        try:
            inputs.write_bytes(encode(calls))
        except ValueError as error:
            raise UserError(f"inputs of '{library.name}': {error}") from None
        command = [*emulator(machine, cpu, options), str(program), str(library.resolve()), str(inputs), str(outputs)]
        environment = {**os.environ, "TVM_NUM_THREADS": "1"}
        finished = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if finished.returncode:
            raise UserError(f"running '{library.name}' on {cpu or machine} failed: {_reason(finished)}")
        try:
            return decode(outputs.read_bytes())
        except ValueError as error:
            raise UserError(f"results of '{library.name}': {error}") from None


def _qemu(machine: str) -> str | None:
    name = _QEMU_NAMES.get(machine, machine)
    return shutil.which(f"qemu-{name}") or shutil.which(f"qemu-{name}-static")


def emulator(machine: str, cpu: str | None = None, options: Sequence[str] = ()) -> list[str]:
    """Return the command that puts a foreign program on this machine; empty for one of our own."""
    if machine == host.machine():
        return []
    return [str(_qemu(machine)), "-L", str(_SYSROOTS[machine]), *(["-cpu", cpu] if cpu is not None else []), *options]


def _runner(machine: str) -> Path:
    """Return the program that runs artifacts on a machine, with the libraries it needs beside it."""
    libraries = runtime_libraries(machine)
    key = hashlib.sha256(_SOURCE.read_bytes() + libraries.name.encode()).hexdigest()[:16]

    def build(folder: Path) -> None:
        for library in libraries.iterdir():
            shutil.copy(library, folder / library.name)
        linked = sorted(folder.glob("*.so"))
        compile_program([_SOURCE], folder / _RUNNER, link_triple(machine), [include_folder()], linked)

    return cached(cache_folder() / "runner" / f"{machine}-{key}", build) / _RUNNER


def _reason(finished: subprocess.CompletedProcess[str]) -> str:
    """Return one line about a run that failed."""
    lines = [line for line in finished.stderr.strip().splitlines() if line.strip()]
    # A loader may have warned first, e.g. of the host's LD_PRELOAD.
    lines.sort(key=lambda line: not line.startswith(("run_model:", "qemu-")))
    # QEMU passes a signal of the emulated program on to itself; under a shell's convention it would be 128 + number.
    number = -finished.returncode if finished.returncode < 0 else finished.returncode - 128
    if number in {int(known) for known in signal.Signals}:
        return signal.Signals(number).name + (" (an instruction that it lacks)" if number == signal.SIGILL else "")
    return lines[0] if lines else f"exit code {finished.returncode}"
