"""What this machine is: its architecture and the instruction sets that its CPU flags announce."""

from __future__ import annotations

import functools
import platform
import re
from pathlib import Path

from schedules.machines.isa import AVX2, AVX512_VPOPCNTDQ, NEON, NEON_ARMV7, PORTABLE, Isa

_CPUINFO = Path("/proc/cpuinfo")
_FLAGS: dict[Isa, frozenset[str]] = {
    AVX512_VPOPCNTDQ: frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vpopcntdq", "avx512_vnni"}),
    AVX2: frozenset({"avx2", "fma", "bmi2", "popcnt"}),
    NEON: frozenset({"asimd"}),
    NEON_ARMV7: frozenset({"neon"}),
    PORTABLE: frozenset(),
}
#: What some CPUs with an instruction set have beside it: how the system calls it, and LLVM.
EXTRAS = {
    AVX512_VPOPCNTDQ: {"avx512_bf16": "+avx512bf16", "amx_tile": "+amx-tile", "amx_int8": "+amx-int8"},
    AVX2: {"avx_vnni": "+avxvnni"},
}
#: "CPU part" of /proc/cpuinfo, for implementer 0x41 (Arm).
_ARM_PARTS = {
    0xD03: "cortex-a53",
    0xD05: "cortex-a55",
    0xD07: "cortex-a57",
    0xD08: "cortex-a72",
    0xD0B: "cortex-a76",
    0xD0C: "neoverse-n1",
    0xD40: "neoverse-v1",
    0xD41: "cortex-a78",
    0xD42: "cortex-a78",
    0xD44: "cortex-x1",
    0xD4F: "neoverse-v2",
}


def machine() -> str:
    """Return the architecture as ``uname -m`` says it."""
    return platform.machine()


@functools.cache
def flags() -> frozenset[str]:
    """Return the CPU's feature flags; empty where the system does not tell."""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", _cpuinfo(), re.MULTILINE)
    return frozenset(found.group(1).split()) if found else frozenset()


def isas() -> list[Isa]:
    """Return the instruction sets that this CPU has, best first."""
    return isas_of(flags())


def isas_of(found: frozenset[str]) -> list[Isa]:
    """Return the instruction sets that a CPU with these feature flags has, best first."""
    return [isa for isa, needed in _FLAGS.items() if needed <= found]


def arm_cpu() -> str | None:
    """Return LLVM's name of this ARM core, if the system tells and we know it."""
    parts = re.findall(r"^CPU part\s*:\s*(0x[0-9a-f]+)$", _cpuinfo(), re.MULTILINE)
    return _ARM_PARTS.get(int(parts[-1], 16)) if parts else None


def cpu_model() -> str:
    """Return the CPU's name for people."""
    found = re.search(r"^(?:model name|Model)\s*:\s*(.*)$", _cpuinfo(), re.MULTILINE)
    return found.group(1) if found else machine()


def _cpuinfo() -> str:
    return _CPUINFO.read_text(encoding="utf-8") if _CPUINFO.exists() else ""
