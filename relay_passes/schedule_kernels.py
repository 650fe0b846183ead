"""Give every lowered function its schedule for the target.

Before: unscheduled PrimFuncs. After: the same, tiled and vectorised, each with the attribute ``bnn.choice`` that says
which kernel, instruction set and tile it got.
"""

from __future__ import annotations

import tvm

from schedules.isa import Isa
from schedules.kernel import schedule_function

CHOICE = "bnn.choice"


def schedule_kernels(module: tvm.IRModule, isa: Isa) -> tvm.IRModule:
    """Schedule every function of a lowered module."""
    scheduled = module.clone()
    for name, function in module.functions.items():
        if isinstance(function, tvm.tirx.PrimFunc):
            body, choice = schedule_function(function, isa)
            scheduled[name] = body.with_attr(CHOICE, str(choice)).with_attr("tirx.is_scheduled", True)
    return scheduled
