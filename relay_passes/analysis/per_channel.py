"""Chains of elementwise operators that turn one layer's sum into something else, channel by channel.

Scale, bias, batch norm, activation: with per-channel constants only, the result depends on the sum and the channel, so
it can be tried on every sum that there is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from tvm import relax

from relay_passes import dialect
from relay_passes.analysis.evaluate import ELEMENTWISE, Array, evaluate
from relay_passes.rewrite import Expr, array_of, is_constant, is_tensor, op_name

#: Sums x channels that are tried at a time: some 16 MB an operator.
MOST_TRIED = 1 << 22


@dataclasses.dataclass(frozen=True)
class Chain:
    """What stands between a layer's sum and a value.

    Parameters
    ----------
    definition
        Looks up what a variable is bound to.
    is_sum
        Tells whether a call is a layer.
    """

    definition: Callable[[Expr], Expr]
    is_sum: Callable[[Expr], bool]

    def source(self, value: Expr) -> relax.Var | None:
        """Return the one layer's result that a value is a per-channel function of, None if there is no such."""
        made = self.definition(value)
        if self.is_sum(made):
            return value
        if op_name(made) not in ELEMENTWISE:
            return None
        found: relax.Var | None = None
        for arg in made.args:
            if not is_tensor(arg) or is_per_channel(arg):
                continue
            below = None if is_constant(arg) else self.source(arg)
            if below is None or (found is not None and not found.same_as(below)):
                return None
            found = below
        return found

    def of_sums(self, value: Expr, source: relax.Var, sums: Array, channels: slice) -> Array:
        """Return a value for every given sum, ``(sums, 1)`` or ``(sums, channels)``, and the given channels."""
        if value.same_as(source):
            return sums
        if is_constant(value):
            values = array_of(value).reshape(-1)
            return values[channels] if len(values) > 1 else values
        made = self.definition(value)
        tensors = [arg for arg in made.args if is_tensor(arg)]
        return evaluate(made, [self.of_sums(arg, source, sums, channels) for arg in tensors])


def is_per_channel(value: Expr) -> bool:
    """Tell whether a value is a constant that varies along the last axis at most."""
    return is_constant(value) and all(extent == 1 for extent in dialect.shape_of(value)[:-1])


def portions(channels: int, sums: int) -> Iterator[slice]:
    """Cut the channels so that each portion tries ``MOST_TRIED`` values at most."""
    step = max(1, MOST_TRIED // sums)
    for first in range(0, channels, step):
        yield slice(first, min(first + step, channels))


def integers_to(most: int) -> npt.NDArray[np.int32]:
    """Return all integers from ``-most`` to ``most``, ascending."""
    return np.arange(-most, most + 1, dtype=np.int32)
