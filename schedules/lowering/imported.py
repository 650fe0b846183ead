"""Functions written in LLVM IR, for instructions whose operands TVM has no working type for.

Generated code calls them by name; whichever of them a function calls is linked into its module and inlined.
"""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import tirx


def _dot_of_bfloat16(name: str, intrinsic: str, lanes: int) -> str:
    """Return ``sums + x * w`` of vectors of bfloat16 that come as the 16-bit numbers of their bits."""
    sums, bits, numbers = f"<{lanes} x float>", f"<{2 * lanes} x i16>", f"<{2 * lanes} x bfloat>"
    return f"""
declare {sums} @{intrinsic}({sums}, {numbers}, {numbers})
define linkonce_odr {sums} @{name}({sums} %sums, {bits} %x, {bits} %w) alwaysinline nounwind {{
  %a = bitcast {bits} %x to {numbers}
  %b = bitcast {bits} %w to {numbers}
  %total = call {sums} @{intrinsic}({sums} %sums, {numbers} %a, {numbers} %b)
  ret {sums} %total
}}
"""


#: By name. Each starts with ``bnn_``, which no library's functions do.
FUNCTIONS = {
    "bnn_vdpbf16ps_16": _dot_of_bfloat16("bnn_vdpbf16ps_16", "llvm.x86.avx512bf16.dpbf16ps.512", 16),
    "bnn_bfdot_4": _dot_of_bfloat16("bnn_bfdot_4", "llvm.aarch64.neon.bfdot.v4f32.v8bf16", 4),
}
_CALL = "tirx.call_pure_extern"


@tirx.transform.prim_func_pass(opt_level=0, name="ImportFunctions")  # type: ignore[untyped-decorator]
def import_functions(function: tirx.PrimFunc, _module: tvm.IRModule, _context: object) -> tirx.PrimFunc:
    """Have the functions that are called linked in, once each."""
    called: dict[str, None] = {}

    def visit(call: tvm.ir.Call) -> None:
        if str(getattr(call.op, "name", "")) == _CALL and str(call.args[0].value) in FUNCTIONS:
            called[str(call.args[0].value)] = None

    tvm_ffi.structural_walk(function, (tvm.ir.Call, visit))
    body = function.body
    for name in called:
        body = tirx.AttrStmt(tirx.const(0, "int32"), "pragma_import_llvm", tvm.ir.StringImm(FUNCTIONS[name]), body)
    return function.with_body(body) if called else function
