"""Turn object files into a shared library, without a toolchain on the system: Zig from PyPI brings its own."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from schedules.errors import UserError
from schedules.machines import host

Toolchain = Literal["zig", "system"]

#: The oldest glibc that TVM's own runtime libraries run with: what we link need not be choosier.
_TRIPLES = {
    "x86_64": "x86_64-linux-gnu.2.28",
    "aarch64": "aarch64-linux-gnu.2.27",
    "armv7l": "arm-linux-gnueabihf.2.27",
}


def link_triple(machine: str) -> str:
    """Return the triple, glibc included, that libraries and programs for a machine are linked for."""
    return _TRIPLES.get(machine, f"{machine}-linux-gnu.2.28")


def linker(triple: str, toolchain: Toolchain = "zig") -> Callable[..., None]:
    """Return an ``fcompile`` for TVM's ``export_library``.

    Parameters
    ----------
    triple
        As Zig writes it, with the oldest glibc that will do: ``aarch64-linux-gnu.2.27``.
    toolchain
        ``zig``, or ``system``: the compiler that Debian calls ``aarch64-linux-gnu-gcc``, or plain ``cc`` for this
        machine.

    Raises
    ------
    UserError
        If the toolchain is not installed; and from the returned function, if it fails.
    """
    command = [*_driver(triple, toolchain), "-shared", "-fPIC", "-s"]

    def link(output: str, objects: str | Sequence[str], options: Sequence[str] | None = None) -> None:
        inputs = [objects] if isinstance(objects, str) else list(objects)
        _run([*command, "-o", output, *inputs, *(options or ()), "-lm"], output)

    link.output_format = "so"  # type: ignore[attr-defined]
    link.get_target_triple = lambda: triple.split(".", maxsplit=1)[0]  # type: ignore[attr-defined]
    return link


def compile_program(
    sources: Sequence[Path],
    output: Path,
    triple: str,
    include: Sequence[Path],
    libraries: Sequence[Path],
    toolchain: Toolchain = "zig",
    system_libraries: Sequence[str] = (),
) -> None:
    """Compile a C11 program; at run time it looks for its libraries beside itself.

    Parameters
    ----------
    sources, output
        Files.
    triple
        As for :func:`linker`.
    include
        Folders with headers.
    libraries
        Shared libraries to link against.
    toolchain
        As for :func:`linker`.
    system_libraries
        Options that name more of them, of the target's own system: ``-lpthread``.

    Raises
    ------
    UserError
        If it does not compile.
    """
    command = [*_driver(triple, toolchain), "-std=gnu11", "-O2", "-s", "-Wall", "-Wextra", "-Werror"]
    # TVM's runtime registers itself when it is loaded; no symbol of it is ever named, so it would count as not needed.
    options = [*(f"-I{folder}" for folder in include), "-Wl,-rpath,$ORIGIN", "-Wl,--no-as-needed"]
    inputs = [*map(str, sources), *map(str, libraries), *system_libraries]
    _run([*command, *options, *inputs, "-o", str(output)], str(output))


def _driver(triple: str, toolchain: Toolchain) -> list[str]:
    """Return the command that compiles and links for a triple."""
    if toolchain == "zig":
        if importlib.util.find_spec("ziglang") is None:
            raise UserError(
                "linker: the package 'ziglang' is not installed; pip install ziglang, or use --linker system"
            )
        return [sys.executable, "-m", "ziglang", "cc", "-target", triple]
    machine = triple.split("-", maxsplit=1)[0]
    program = "cc" if machine == host.machine() else f"{triple.split('.', maxsplit=1)[0]}-gcc"
    if shutil.which(program) is None:
        package = "gcc" if program == "cc" else f"gcc-{triple.split('.', maxsplit=1)[0]}"
        raise UserError(f"linker: no '{program}' on the PATH; install Debian's {package}, or use --linker zig")
    return [program]


def _run(command: Sequence[str], output: str) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        said = [
            line for line in finished.stderr.splitlines() if "error" in line.lower()
        ] or finished.stderr.splitlines()
        raise UserError(
            f"linker: {' '.join(command[:4])} … failed on {Path(output).name}: {said[0] if said else 'no message'}"
        )
