"""The TIR lowering pipeline, with small scratch buffers kept on the stack.

TVM 0.27 turns every CPU buffer of scope "local" into a heap workspace. LLVM can keep an array in registers only if it
is on the stack, so accumulators would be stored and loaded around every tile. The pass marks small buffers so that
LowerTVMBuiltin leaves them alone.
"""

from __future__ import annotations

import math

import tvm
import tvm_ffi
from tvm import tirx
from tvm.tirx import compilation_pipeline

from schedules.lowering.amx_permission import ask_for_tiles
from schedules.lowering.elementary import expand_elementary
from schedules.lowering.imported import import_functions
from schedules.lowering.neon_masks import neon_masks
from schedules.lowering.pairwise_add import pairwise_add

#: The name under which ``tvm.compile`` finds the pipeline.
PIPELINE = "bnn"
MOST_STACK_BYTES = 16 * 1024


def _keep_on_stack(allocation: tirx.AllocBuffer) -> tirx.AllocBuffer:
    buffer = allocation.buffer
    if not all(isinstance(extent, tirx.IntImm) for extent in buffer.shape):
        return allocation
    element_bytes = -(-buffer.dtype.bits * buffer.dtype.lanes // 8)
    if math.prod(int(extent) for extent in buffer.shape) * element_bytes > MOST_STACK_BYTES:
        return allocation
    annotations = dict(allocation.annotations)
    annotations["disable_lower_builtin"] = tirx.IntImm("int32", 1)
    return tirx.AllocBuffer(buffer, annotations)


@tirx.transform.prim_func_pass(opt_level=0, name="StackLocals")  # type: ignore[untyped-decorator]
def stack_locals(function: tirx.PrimFunc, _module: tvm.IRModule, _context: object) -> tirx.PrimFunc:
    """Keep buffers of at most ``MOST_STACK_BYTES`` on the stack."""
    return tvm_ffi.structural_map(function, (tirx.AllocBuffer, _keep_on_stack))


def _pipeline() -> tuple[object, object, object]:
    lower, _, finalize_device = compilation_pipeline.get_tir_pipeline("s_tir")

    def finalize_host() -> tvm.transform.Pass:
        passes = [
            *(stack_locals, pairwise_add, neon_masks, expand_elementary, import_functions, ask_for_tiles),
            *(tirx.transform.LowerTVMBuiltin(), tirx.transform.LowerIntrin()),
        ]
        return tvm.ir.transform.Sequential(passes)

    return lower, finalize_host, finalize_device


compilation_pipeline.register_tir_pipeline(PIPELINE, _pipeline)
