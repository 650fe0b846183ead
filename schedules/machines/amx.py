"""Whether a machine multiplies tiles of bytes (AMX), and whether its system lets a process do so."""

from __future__ import annotations

import ctypes

from schedules.machines.isa import AVX512_VPOPCNTDQ, Isa

#: LLVM's names of what a processor must have. Unpacking takes the masks of AVX-512.
FEATURES = ("amx-tile", "amx-int8", "avx512bw")
#: The system's name of the first.
TILES = "amx_tile"
#: The system call by which a process asks Linux for tiles: arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA.
PERMISSION = (158, 0x1023, 18)
REFUSED = (
    "it was compiled for AMX, which this system does not let the process use (arch_prctl refuses XTILEDATA): compile it"
    " with --target x86-avx512"
)


def has_tiles(options: dict[str, object], isa: Isa) -> bool:
    """Tell whether a TVM target multiplies tiles of bytes and packs into the words that are unpacked for them."""
    if isa != AVX512_VPOPCNTDQ:
        return False
    import tvm.target.codegen

    return bool(tvm.target.codegen.target_has_features(list(FEATURES), tvm.target.Target(options)))


def permitted() -> bool:
    """Ask the system for tiles, for this process; tell whether it gives any. Compiled code asks again by itself."""
    return bool(ctypes.CDLL(None).syscall(*map(ctypes.c_long, PERMISSION)) == 0)
