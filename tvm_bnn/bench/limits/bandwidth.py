"""How fast each level of the memory hierarchy can be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schedules.machines.link import Toolchain
from tvm_bnn.bench.limits.loop_library import ReadRow, load_loops, read_rows
from tvm_bnn.bench.limits.work import Work, repeated

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
#: Where the system does not tell; level by level, in bytes.
_USUAL_CACHES = {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}
#: So much of a cache is read: all of it would share it with the stack and the code.
_FILLED = 0.5
#: Times the last cache, and at least so much, is what counts as memory.
_BEYOND_CACHES = 4
_LEAST_MEMORY = 64 << 20
_UNITS = {"K": 10, "M": 20, "G": 30}
#: The loops read eight vectors of at most 64 bytes at a time.
_GRANULE = 512
_PAGE = 4096


@dataclasses.dataclass(frozen=True)
class Reading:
    """One level: its name, how many bytes are read over and over, with which loads."""

    level: str
    size: int
    loads: str
    work: Work


def readings(threads: int = 1, toolchain: Toolchain = "zig") -> list[Reading]:
    """Return what reads each level; several threads read buffers of their own.

    Raises
    ------
    UserError
        If the loops cannot be compiled.
    RuntimeError
        If a loop returns the wrong checksum.
    """
    row = read_rows(load_loops(toolchain))[0]
    caches = cache_bytes()
    sizes = {f"L{level}": int(size * _FILLED) for level, size in caches.items()}
    sizes["DRAM"] = max(_BEYOND_CACHES * max(caches.values()), _LEAST_MEMORY)
    return [_reading(level, size, row, threads) for level, size in sizes.items()]


def _reading(level: str, size: int, row: ReadRow, threads: int) -> Reading:
    # A first-level cache is each core's own; the rest is shared out, which is right or on the safe side.
    share = (size if level == "L1" else size // threads) // _GRANULE * _GRANULE
    buffers = [_random_words(seed, share // 8) for seed in range(threads)]
    if row.run(buffers[0].ctypes.data, share, 1) != np.bitwise_xor.reduce(buffers[0]):
        raise RuntimeError(f"reading {level}: wrong checksum")

    def reader(buffer: npt.NDArray[np.uint64]) -> Callable[[int], object]:
        return lambda passes: row.run(buffer.ctypes.data, share, passes)

    return Reading(level, share, row.name.decode(), repeated([reader(buffer) for buffer in buffers], share))


def cache_bytes(folder: Path = _CACHES) -> dict[int, int]:
    """Return the size of each data cache by its level, as the system tells it for the first processor."""
    found = {}
    for index in sorted(folder.glob("index*")):
        kind, level, size = ((index / name).read_text(encoding="ascii").strip() for name in ("type", "level", "size"))
        if kind != "Instruction":
            found[int(level)] = int(size[:-1]) << _UNITS[size[-1]] if size[-1] in _UNITS else int(size)
    return found or _USUAL_CACHES


def _random_words(seed: int, count: int) -> npt.NDArray[np.uint64]:
    """Return random words from the start of a page on: loads across the edge of a cache line take twice as long."""
    room = np.empty(count + _PAGE // 8, np.uint64)
    start = -room.ctypes.data % _PAGE // 8
    words = room[start : start + count]
    words[:] = np.random.default_rng(seed).integers(0, 2**64, count, np.uint64)
    return words
