"""The native board server: built from ``board/server`` for any machine that TVM has a runtime for."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import tempfile
from pathlib import Path

from rpc.runtime_libraries import cache_folder, cached, include_folder, runtime_libraries
from schedules.errors import UserError
from schedules.link import compile_program, link_triple

PROGRAM = "board_server"
_SOURCES = Path(__file__).parent / "board" / "server"


def board_server(machine: str) -> Path:
    """Return a folder with the server for a machine (as ``uname -m`` names it) and the libraries it needs.

    The first call for a machine compiles it, and downloads TVM's runtime where the machine is not this one.

    Raises
    ------
    UserError
        If there is no runtime for the machine, or it does not compile.
    """
    if machine == "armv7l":
        raise UserError(
            "machine 'armv7l': TVM publishes no runtime for 32-bit ARM; install a 64-bit system on the board"
        )
    libraries = runtime_libraries(machine)
    key = hashlib.sha256(libraries.name.encode())
    for source in sorted(_SOURCES.iterdir()):
        key.update(source.name.encode() + b"\0" + source.read_bytes())
    name = f"{machine}-{key.hexdigest()[:16]}"
    return cached(cache_folder() / "board_server" / name, lambda folder: _build(machine, libraries, folder))


def _build(machine: str, libraries: Path, folder: Path) -> None:
    for library in libraries.iterdir():
        shutil.copy(library, folder / library.name)
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as generated:
        (Path(generated) / "versions.h").write_text(_versions_header(), encoding="ascii")
        include = [include_folder(), _SOURCES, Path(generated)]
        compile_program(
            sorted(_SOURCES.glob("*.c")), folder / PROGRAM, link_triple(machine), include, sorted(folder.glob("*.so"))
        )


def _versions_header() -> str:
    """Return what tells the server which runtime lies beside it: the libraries themselves know no exact version."""
    names = {"TVM_RUNTIME_VERSION": "apache-tvm", "FFI_RUNTIME_VERSION": "apache-tvm-ffi"}
    return "".join(f'#define {macro} "{importlib.metadata.version(name)}"\n' for macro, name in names.items())
