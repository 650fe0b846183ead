"""Count bits and add the counts of neighbouring bytes to 16-bit lanes in two instructions on ARM.

``lanes + popcount(word)`` is ``vcnt.8`` and ``vpadal.u8`` on 32-bit ARM, ``cnt`` and ``uadalp`` on 64-bit ARM. For 32
bits LLVM emits ``vcnt.8``, ``vpaddl.u8`` and ``vadd.i16``, a quarter more instructions in the innermost loop. For 64
bits it finds the two unless there is SVE. Then it takes SVE's ``cnt`` of 16-bit lanes, which overwrites its operand, so
that copies and spills make it slower (Neoverse V1: 143 binary products a cycle in LLVM's model against 155).
"""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Expr as Index

_LANES = "uint16x8"
_BYTES = "uint8x16"
_VPADALU = "llvm.arm.neon.vpadalu.v8i16.v16i8"
_UADDLP = "llvm.aarch64.neon.uaddlp.v8i16.v16i8"


def _is_popcount(value: Index) -> bool:
    return isinstance(value, tvm.ir.Call) and str(value.op.name) == "tirx.popcount"


def _lanes_and_bytes(node: tirx.Add) -> tuple[Index, Index] | None:
    """Return what counts are added to, and the counts of its bytes; None if it is no such sum."""
    if str(node.ty.dtype) != _LANES:
        return None
    lanes, count = (node.a, node.b) if _is_popcount(node.b) else (node.b, node.a)
    if not _is_popcount(count):
        return None
    return lanes, tirx.popcount(tirx.reinterpret(_BYTES, count.args[0]))


def _accumulated(node: tirx.Add) -> Index:
    found = _lanes_and_bytes(node)
    return node if found is None else tirx.call_llvm_pure_intrin(_LANES, _VPADALU, *found)


def _added(node: tirx.Add) -> Index:
    """LLVM makes one instruction of the two, ``uadalp``."""
    found = _lanes_and_bytes(node)
    return node if found is None else found[0] + tirx.call_llvm_pure_intrin(_LANES, _UADDLP, found[1])


@tirx.transform.prim_func_pass(opt_level=0, name="PairwiseAdd")  # type: ignore[untyped-decorator]
def pairwise_add(function: tirx.PrimFunc, _module: tvm.IRModule, _context: object) -> tirx.PrimFunc:
    """Rewrite sums with popcounts of 16-bit lanes, in vectors, for ARM."""
    target = function.attrs.get("target")
    facts = {} if target is None else dict(target.export())
    if str(facts.get("mtriple", "")).startswith("arm"):
        return tvm_ffi.structural_map(function, (tirx.Add, _accumulated))
    if facts.get("feature.has_sve"):
        return tvm_ffi.structural_map(function, (tirx.Add, _added))
    return function
