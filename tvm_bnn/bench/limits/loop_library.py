"""The C loops as a library: compiled for this machine at first use, and kept in the cache."""

from __future__ import annotations

import ctypes
import functools
import hashlib
from pathlib import Path

from rpc.boards.runtime_libraries import cache_folder, cached
from schedules.machines import host
from schedules.machines.link import Toolchain, link_triple, linker

LOOPS = Path(__file__).parent / "peak_loops"
#: Belongs to a program of its own.
CHECK = LOOPS / "check.c"
#: A compiler that vectorises by itself makes something else of a scalar loop. gcc and clang both know these names.
OPTIONS = ("-O3", "-fno-tree-vectorize", "-fno-tree-slp-vectorize")


class ComputeRow(ctypes.Structure):
    """``compute_row`` of ``peaks.h``; other Python threads run while its functions do."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("quantity", ctypes.c_char_p),
        ("isa", ctypes.c_char_p),
        ("flags", ctypes.c_char_p),
        ("operations", ctypes.c_double),
        ("run", ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_long)),
        ("expected", ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_long)),
    )


class ReadRow(ctypes.Structure):
    """``read_row`` of ``peaks.h``."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("flags", ctypes.c_char_p),
        ("run", ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long)),
    )


def library_sources() -> list[Path]:
    """Return the C files of the library."""
    return sorted(path for path in LOOPS.glob("*.c") if path != CHECK)


def compile_loops(output: Path, machine: str, toolchain: Toolchain = "zig") -> None:
    """Compile the loops to a shared library for a machine, as ``uname -m`` names it.

    Raises
    ------
    UserError
        If the toolchain is missing or fails.
    """
    linker(link_triple(machine), toolchain)(str(output), [str(path) for path in library_sources()], OPTIONS)


@functools.cache
def load_loops(toolchain: Toolchain = "zig") -> ctypes.CDLL:
    """Return the library for this machine.

    Raises
    ------
    UserError
        If it has to be compiled and cannot be.
    """
    text = b"".join(path.read_bytes() for path in sorted(LOOPS.iterdir()))
    key = hashlib.sha256(text + repr((OPTIONS, toolchain)).encode()).hexdigest()[:16]
    folder = cached(
        cache_folder() / "peaks" / f"{host.machine()}-{key}",
        lambda made: compile_loops(made / "peaks.so", host.machine(), toolchain),
    )
    return ctypes.CDLL(str(folder / "peaks.so"))


def compute_rows(library: ctypes.CDLL) -> list[ComputeRow]:
    """Return the compute loops that this processor has the instructions for."""
    count = ctypes.c_int.in_dll(library, "compute_count").value
    rows = (ComputeRow * count).in_dll(library, "compute_rows")
    return [row for row in rows if set(row.flags.decode().split()) <= host.flags()]


def read_rows(library: ctypes.CDLL) -> list[ReadRow]:
    """Return the ways to read memory that this processor has the instructions for, widest first."""
    count = ctypes.c_int.in_dll(library, "read_count").value
    rows = (ReadRow * count).in_dll(library, "read_rows")
    return [row for row in rows if set(row.flags.decode().split()) <= host.flags()]
