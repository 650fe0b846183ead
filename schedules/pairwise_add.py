"""Count bits and add the counts of neighbouring bytes to 16-bit lanes in two instructions on 32-bit ARM.

``lanes + popcount(word)`` is ``vcnt.8`` and ``vpadal.u8`` there. LLVM finds that for 64-bit ARM (``uadalp``); for 32
bits it emits ``vcnt.8``, ``vpaddl.u8`` and ``vadd.i16``, a quarter more instructions in the innermost loop.
"""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Expr as Index

_LANES = "uint16x8"
_BYTES = "uint8x16"
_VPADALU = "llvm.arm.neon.vpadalu.v8i16.v16i8"


def _is_popcount(value: Index) -> bool:
    return isinstance(value, tvm.ir.Call) and str(value.op.name) == "tirx.popcount"


def _pairwise(node: tirx.Add) -> Index:
    if str(node.ty.dtype) != _LANES:
        return node
    lanes, count = (node.a, node.b) if _is_popcount(node.b) else (node.b, node.a)
    if not _is_popcount(count):
        return node
    return tirx.call_llvm_pure_intrin(_LANES, _VPADALU, lanes, tirx.popcount(tirx.reinterpret(_BYTES, count.args[0])))


@tirx.transform.prim_func_pass(opt_level=0, name="PairwiseAdd")  # type: ignore[untyped-decorator]
def pairwise_add(function: tirx.PrimFunc, _module: tvm.IRModule, _context: object) -> tirx.PrimFunc:
    """Rewrite sums with popcounts of 16-bit lanes, in vectors, for 32-bit ARM."""
    target = function.attrs.get("target")
    if target is None or not str(dict(target.export()).get("mtriple", "")).startswith("arm"):
        return function
    return tvm_ffi.structural_map(function, (tirx.Add, _pairwise))
