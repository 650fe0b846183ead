"""TVM's runtime for another machine, taken from the wheels of the very versions that are installed here."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from schedules.errors import UserError
from schedules.machines import host

#: Library, the distribution that ships it, and where in it.
_LIBRARIES = {
    "libtvm_ffi.so": ("apache-tvm-ffi", "tvm_ffi/lib"),
    "libtvm_runtime.so": ("apache-tvm", "tvm/lib"),
    "libtvm_runtime_extra.so": ("apache-tvm", "tvm/lib"),  # sorting, which top-k selection calls
}
_PLATFORMS = {"aarch64": ("manylinux_2_28_aarch64", "manylinux_2_24_aarch64")}


def cache_folder() -> Path:
    """Return where downloads and builds for other machines are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tvm_bnn"


def runtime_libraries(machine: str) -> Path:
    """Return a folder with TVM's runtime libraries for a machine (as ``uname -m`` names it).

    The first call for another machine downloads some 100 MB of wheels and keeps 8 MB of them.

    Raises
    ------
    UserError
        If there are no wheels for the machine, or they cannot be had now.
    """
    versions = "-".join(importlib.metadata.version(name) for name in ("apache-tvm", "apache-tvm-ffi"))
    fill = _copy_installed if machine == host.machine() else _download
    parts = f"{machine}-{versions}-{len(_LIBRARIES)}"
    return cached(cache_folder() / "runtime" / parts, lambda folder: fill(machine, folder))


def include_folder() -> Path:
    """Return the folder of tvm-ffi's C++ headers."""
    return Path(str(importlib.metadata.distribution("apache-tvm-ffi").locate_file("tvm_ffi/include")))


def cached(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return a folder, made by ``fill`` if it is not there; it appears complete or not at all."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        fill(made)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster, and its folder is as good
                raise
    return folder


def _copy_installed(_machine: str, folder: Path) -> None:
    for library, (distribution, inside) in _LIBRARIES.items():
        found = importlib.metadata.distribution(distribution).locate_file(f"{inside}/{library}")
        shutil.copy(str(found), folder / library)


def _download(machine: str, folder: Path) -> None:
    platforms = _PLATFORMS.get(machine)
    if platforms is None:
        raise UserError(f"machine '{machine}': TVM publishes no wheels for it, so there is no runtime to run it with")
    requirements = [f"{name}=={importlib.metadata.version(name)}" for name in ("apache-tvm", "apache-tvm-ffi")]
    options = ["--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3", "--abi=none"]
    with tempfile.TemporaryDirectory() as wheels:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",  # its notice would be the last line, in place of the error
            "--no-deps",
            "--only-binary=:all:",
            "--dest",
            wheels,
        ]
        command += [*options, *(f"--platform={platform}" for platform in platforms), *requirements]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode:
            said = (finished.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(f"runtime for {machine}: pip cannot download {' and '.join(requirements)} ({said})")
        for wheel in Path(wheels).glob("*.whl"):
            _extract(wheel, folder)
    absent = [library for library in _LIBRARIES if not (folder / library).exists()]
    if absent:
        raise UserError(
            f"runtime for {machine}: the wheels of {' and '.join(requirements)} lack {' and '.join(absent)}"
        )


def _extract(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for library, (_, inside) in _LIBRARIES.items():
            if f"{inside}/{library}" in archive.namelist():
                (folder / library).write_bytes(archive.read(f"{inside}/{library}"))
