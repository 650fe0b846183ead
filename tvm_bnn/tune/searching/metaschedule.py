"""MetaSchedule, without the 25 s that TVM 0.27 spends on its tensor intrinsics when the first context is made.

``TuneContext`` imports ``tvm.s_tir.tensor_intrin``, which parses the intrinsics of every GPU. The kernels here use none
of them: an empty module in its place saves the time.
"""

from __future__ import annotations

import sys
import types

import tvm.s_tir

_UNUSED = "tvm.s_tir.tensor_intrin"
if _UNUSED not in sys.modules:
    _empty = types.ModuleType(_UNUSED)
    _empty.__path__ = []
    sys.modules[_UNUSED] = _empty
    tvm.s_tir.tensor_intrin = _empty

from tvm.s_tir import meta_schedule as ms  # noqa: E402  (only now does it not take half a minute)

__all__ = ["ms"]
