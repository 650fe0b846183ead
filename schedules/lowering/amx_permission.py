"""Ask the system for tiles: Linux lets a process use AMX only once it has asked, and kills it if it has not.

The compiled code asks itself, once in a process, before the first layer that uses tiles; whoever loads it, from Python
or from C, has nothing to do. Where the system refuses, the call fails with a line that says so.
"""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import tirx
from tvm.target import codegen

from schedules.amx.instructions import CONFIGURE, PREFIX
from schedules.machines.amx import PERMISSION, REFUSED

_PERMIT = "bnn_permit_tiles"
_CALL = "tirx.call_llvm_intrin"
_REFUSED = f"a layer cannot run: {REFUSED}"
_NUMBER, _ASKED, _WHAT = PERMISSION
#: A system call, written out: libraries need no name from anybody. Threads that ask at the same time all get what they
#: ask for.
_FUNCTION = f"""
@{_PERMIT}_state = linkonce_odr hidden global i32 0
define linkonce_odr hidden i32 @{_PERMIT}() nounwind {{
  %known = load atomic i32, ptr @{_PERMIT}_state monotonic, align 4
  %granted = icmp eq i32 %known, 1
  br i1 %granted, label %done, label %ask
ask:
  %error = call i64 asm sideeffect "syscall",
    "={{rax}},{{rax}},{{rdi}},{{rsi}},~{{rcx}},~{{r11}},~{{memory}},~{{dirflag}},~{{fpsr}},~{{flags}}"
    (i64 {_NUMBER}, i64 {_ASKED}, i64 {_WHAT})
  %ok = icmp eq i64 %error, 0
  %state = zext i1 %ok to i32
  store atomic i32 %state, ptr @{_PERMIT}_state monotonic, align 4
  ret i32 %state
done:
  ret i32 1
}}
"""


def uses_tiles(function: tirx.PrimFunc) -> bool:
    """Tell whether a function tells the processor how large its tiles are."""
    configure = codegen.llvm_lookup_intrinsic_id(PREFIX + CONFIGURE)
    found = []

    def visit(call: tvm.ir.Call) -> None:
        if str(getattr(call.op, "name", "")) == _CALL and int(call.args[0]) == configure:
            found.append(call)

    tvm_ffi.structural_walk(function, (tvm.ir.Call, visit))
    return bool(found)


@tirx.transform.prim_func_pass(opt_level=0, name="AskForTiles")  # type: ignore[untyped-decorator]
def ask_for_tiles(function: tirx.PrimFunc, _module: tvm.IRModule, _context: object) -> tirx.PrimFunc:
    """Have every function that uses tiles ask for them first."""
    if not uses_tiles(function):
        return function
    granted = tirx.call_extern("int32", _PERMIT) == tirx.const(1, "int32")
    # TVM 0.27 passes its first two arguments on in the order of its C++ constructor: the condition comes first.
    asked = tirx.AssertStmt(granted, tvm.ir.StringImm("RuntimeError"), [tvm.ir.StringImm(_REFUSED)])
    body = tirx.SeqStmt([asked, function.body])
    linked = tirx.AttrStmt(tirx.const(0, "int32"), "pragma_import_llvm", tvm.ir.StringImm(_FUNCTION), body)
    return function.with_body(linked)
