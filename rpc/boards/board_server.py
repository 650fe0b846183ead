"""The native board server: ``board/server`` with what runs models there, TVM's runtime or libbnn, behind it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rpc.boards import libbnn
from rpc.boards.runtime_libraries import cache_folder, cached, include_folder, runtime_libraries
from schedules.machines.link import compile_program, link_triple
from schedules.machines.target import Runtime, runtime_of

PROGRAM = "board_server"
_SOURCES = Path(__file__).parent.parent / "board" / "server"
_TVM, _LIBBNN = _SOURCES / "tvm", _SOURCES / "libbnn"


def board_server(machine: str, runtime: Runtime | None = None) -> Path:
    """Return a folder with the server for a machine (as ``uname -m`` names it) and the libraries it needs.

    The first call for a machine compiles it, and downloads TVM's runtime where the machine is another one.

    Parameters
    ----------
    machine
        Where it is to run.
    runtime
        What runs models there; by default what artifacts for the machine are made for.

    Raises
    ------
    UserError
        If there is no runtime for the machine, or it does not compile.
    """
    if (runtime or runtime_of(machine)) == "libbnn":
        name = f"{machine}-{_digest('', (_SOURCES, _LIBBNN, libbnn.FOLDER))}"
        return cached(cache_folder() / "board_server" / name, lambda folder: _build_on_libbnn(machine, folder))
    libraries = runtime_libraries(machine)
    name = f"{machine}-{_digest(libraries.name, (_SOURCES, _TVM))}"
    return cached(cache_folder() / "board_server" / name, lambda folder: _build_on_tvm(machine, libraries, folder))


def _digest(start: str, folders: Sequence[Path]) -> str:
    """Return what changes with any source in the folders."""
    key = hashlib.sha256(start.encode())
    for source in _files(folders):
        key.update(source.name.encode() + b"\0" + source.read_bytes())
    return key.hexdigest()[:16]


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted(folder.iterdir()) if path.is_file())


def _build_on_tvm(machine: str, libraries: Path, folder: Path) -> None:
    for library in libraries.iterdir():
        shutil.copy(library, folder / library.name)
    sources = [*sorted(_SOURCES.glob("*.c")), *sorted(_TVM.glob("*.c"))]
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as generated:
        (Path(generated) / "versions.h").write_text(_versions_header(), encoding="ascii")
        include = [include_folder(), _SOURCES, _TVM, Path(generated)]
        compile_program(sources, folder / PROGRAM, link_triple(machine), include, sorted(folder.glob("*.so")))


def _build_on_libbnn(machine: str, folder: Path) -> None:
    """Build a program that needs nothing but libc; of TVM it takes a header that says how arguments are laid out."""
    sources = [*sorted(_SOURCES.glob("*.c")), *sorted(_LIBBNN.glob("*.c")), *libbnn.SOURCES]
    include = [include_folder(), _SOURCES, _LIBBNN, libbnn.FOLDER]
    compile_program(
        sources,
        folder / PROGRAM,
        link_triple(machine),
        include,
        libraries=[],
        system_libraries=libbnn.SYSTEM_LIBRARIES,
    )


def _versions_header() -> str:
    """Return what tells the server which runtime lies beside it: the libraries themselves know no exact version."""
    names = {"TVM_RUNTIME_VERSION": "apache-tvm", "FFI_RUNTIME_VERSION": "apache-tvm-ffi"}
    return "".join(f'#define {macro} "{importlib.metadata.version(name)}"\n' for macro, name in names.items())
