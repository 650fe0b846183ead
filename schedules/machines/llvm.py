"""What LLVM knows of a CPU."""

from __future__ import annotations

from typing import Any

import tvm
import tvm.target.codegen

from schedules.errors import UserError
from schedules.machines.isa import AVX2, AVX512_VPOPCNTDQ, NEON, NEON_ARMV7, PORTABLE, Isa

_NEEDS: tuple[tuple[str, Isa, tuple[str, ...]], ...] = (
    ("x86_64", AVX512_VPOPCNTDQ, ("avx512vpopcntdq", "avx512bw", "avx512vl")),
    ("x86_64", AVX2, ("avx2",)),
    ("aarch64", NEON, ("neon",)),
    ("arm", NEON_ARMV7, ("neon",)),
)


def isa_of(options: dict[str, Any]) -> Isa:
    """Return the best instruction set of a CPU target.

    Raises
    ------
    UserError
        If LLVM knows no such processor: TVM itself would only log that and compile for a generic one.
    """
    triple, cpu = str(options["mtriple"]), str(options.get("mcpu", "generic"))
    if cpu != "generic" and not tvm.target.codegen.llvm_is_valid_cpu(cpu, triple):
        raise UserError(f"target: LLVM knows no processor '{cpu}' for {triple}; leave mcpu out for a generic one")
    try:
        target = tvm.target.Target(options)
    except Exception as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(f"target: TVM does not take it ({reason}); see its target documentation for the keys") from None
    for machine, isa, features in _NEEDS:
        if triple.startswith(machine) and tvm.target.codegen.target_has_features(list(features), target):
            return isa
    return PORTABLE
