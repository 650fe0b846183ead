"""Which features of a CPU a model's code may use: what its target says, in the words of Linux."""

from __future__ import annotations

from schedules.machines.target import Target

#: LLVM's name of a feature that code is generated for, and Linux's in ``/proc/cpuinfo``. What only atomics, checksums
#: and operating systems use is left out.
_LINUX_NAMES = {
    "x86_64": {
        "sse4.2": "sse4_2",
        "popcnt": "popcnt",
        "avx": "avx",
        "avx2": "avx2",
        "fma": "fma",
        "bmi": "bmi1",
        "bmi2": "bmi2",
        "f16c": "f16c",
        "gfni": "gfni",
        "avxvnni": "avx_vnni",
        "avx512f": "avx512f",
        "avx512bw": "avx512bw",
        "avx512cd": "avx512cd",
        "avx512dq": "avx512dq",
        "avx512vl": "avx512vl",
        "avx512vnni": "avx512_vnni",
        "avx512vpopcntdq": "avx512_vpopcntdq",
        "avx512bitalg": "avx512_bitalg",
        "avx512bf16": "avx512_bf16",
        "avx512vbmi": "avx512vbmi",
        "avx512vbmi2": "avx512_vbmi2",
        "avx512fp16": "avx512_fp16",
        "amx-tile": "amx_tile",
        "amx-int8": "amx_int8",
    },
    "aarch64": {
        "neon": "asimd",
        "fullfp16": "asimdhp",
        "rdm": "asimdrdm",
        "dotprod": "asimddp",
        "bf16": "bf16",
        "i8mm": "i8mm",
        "sve": "sve",
    },
    "armv7l": {"neon": "neon", "vfp4": "vfpv4"},
}


def needed_features(target: Target) -> tuple[str, ...]:
    """Return the features that a CPU must have to run what is compiled for a target, in Linux's words, sorted."""
    import tvm
    from tvm.target import codegen

    names = _LINUX_NAMES.get(target.machine, {})
    has = {str(name) for name in codegen.llvm_get_cpu_features(tvm.target.Target(target.tvm))}
    return tuple(sorted(linux for llvm, linux in names.items() if llvm in has))
