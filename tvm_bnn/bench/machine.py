"""What every record says about the machine that it was taken on."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
from pathlib import Path

import msgspec

from schedules.machines import host
from schedules.machines.link import link_triple
from tvm_bnn.version import __version__

#: Flags that decide which kernels, ours or others', a processor runs.
_INTERESTING = (
    *("popcnt", "sse4_2", "avx", "avx2", "fma", "bmi2", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni"),
    *("avx512_vpopcntdq", "avx512_bitalg", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16", "amx_tile"),
    *("asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2"),
)
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_DISTRIBUTIONS = ("apache-tvm", "torch", "numpy", "onnxruntime", "openvino", "ziglang")


class Machine(msgspec.Struct, frozen=True):
    """Facts; an empty string stands for what the system does not tell."""

    cpu: str
    architecture: str
    flags: tuple[str, ...]
    cores: int
    kernel: str
    libc: str
    governor: str
    link_triple: str


@functools.cache
def this_machine() -> Machine:
    """Return the facts of the machine that runs this."""
    governor = _GOVERNOR.read_text(encoding="ascii").strip() if _GOVERNOR.exists() else ""
    return Machine(
        host.cpu_model(),
        host.machine(),
        tuple(flag for flag in _INTERESTING if flag in host.flags()),
        len(os.sched_getaffinity(0)),
        platform.release(),
        " ".join(platform.libc_ver()),
        governor,
        link_triple(host.machine()),
    )


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of what was measured, as far as it is installed."""
    found = {"tvm_bnn": __version__, "python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
