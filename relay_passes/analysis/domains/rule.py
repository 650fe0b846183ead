"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from tvm import relax

from relay_passes.analysis.values import Values

#: From a call and what is known of its arguments to what is known of its result.
Rule: TypeAlias = Callable[[relax.Call, Sequence[Values]], Values]
