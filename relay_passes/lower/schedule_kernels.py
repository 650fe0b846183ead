"""Give every lowered function its schedule for the target.

Before: unscheduled PrimFuncs. After: the same, tiled and vectorised, each with the attribute ``bnn.choice`` that says
which kernel, instruction set and tile it got, and ``bnn.schedule``, where that comes from: a tuning log or the default.
Layers of several tiles of channels fetch the next one's weights ahead.
"""

from __future__ import annotations

from collections.abc import Sequence

import tvm

from schedules.defects import locate
from schedules.files.line_file import Warn
from schedules.lowering.prefetch import prefetch_weights
from schedules.machines.isa import Isa
from schedules.tuned.lookup import Tuned, schedule_tuned

CHOICE = "bnn.choice"
SCHEDULE = "bnn.schedule"


def unheard(_message: str) -> None:
    """Where there is no log, there is nothing to say."""


def schedule_kernels(module: tvm.IRModule, isa: Isa, logs: Sequence[Tuned] = (), warn: Warn = unheard) -> tvm.IRModule:
    """Schedule every function of a lowered module, by the first log that knows it."""
    scheduled = module.clone()
    for name, function in module.functions.items():
        if isinstance(function, tvm.tirx.PrimFunc):
            try:
                body, choice, origin = schedule_tuned(function, isa, logs, warn)
                body = prefetch_weights(body, isa)
            except Exception as error:
                locate(error, f"at kernel '{name.name_hint}'")
                raise
            body = body.with_attr(CHOICE, str(choice)).with_attr(SCHEDULE, origin)
            scheduled[name] = body.with_attr("tirx.is_scheduled", True)
    return scheduled
