"""What a tuning log knows a layer by: its function without whatever makes no difference to the time it takes."""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import s_tir, tirx

from schedules.machines.isa import Isa
from schedules.templates.anchored import Anchored, anchored

#: Stands for every scalar of a trained model in its functions, such as a slope: a value that nothing simplifies away.
_SCALAR = 0.53125


def normalized(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """Return a lowered function as logs keep it: no name, and scalars that do not come from one model's training."""
    attributes = [name for name in dict(function.attrs or {}) if name not in _KEPT]
    for name in attributes:
        function = function.without_attr(name)
    return tvm_ffi.structural_map(function, (tirx.FloatImm, lambda found: tirx.FloatImm(found.ty, _SCALAR)))


_KEPT = ("s_tir", "tirx.noalias")


def workload_hash(function: tirx.PrimFunc) -> str:
    """Return MetaSchedule's hash of a normalized function, by which its database finds records."""
    return str(tvm_ffi.structural_hash(tvm.IRModule({"main": function})) % (1 << 64))


def layer_of(function: tirx.PrimFunc, isa: Isa) -> Anchored | None:
    """Return what the template has to know of a function; None if it runs as plain loops, which nobody tunes."""
    return anchored(s_tir.Schedule(tvm.IRModule({"main": function}), debug_mask="none"), isa)


def signature(function: tirx.PrimFunc, isa: Isa) -> str:
    """Return a layer's description, by which an older version of its kernel is recognised: kernel, tensors, blocks."""
    schedule = s_tir.Schedule(tvm.IRModule({"main": function}), debug_mask="none")
    layer = anchored(schedule, isa)
    if layer is None:
        raise ValueError("the function has no anchor: plain loops have no search space")
    shapes = (f"{'x'.join(map(str, shape))}:{dtype}" for shape, dtype in tensors_of(function))
    blocks = (schedule.get(block).name_hint for block in schedule.get_child_blocks(schedule.get_sblock("root")))
    return f"{layer.kernel.name}/{isa.name} {' '.join(shapes)} {'+'.join(blocks)}"


def tensors_of(function: tirx.PrimFunc) -> list[tuple[tuple[int, ...], str]]:
    """Return the shape and dtype of every parameter, results last."""
    return [(tuple(int(extent) for extent in tensor.shape), str(tensor.dtype)) for tensor in function.params]
