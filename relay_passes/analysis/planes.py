"""Few values as a sum of bit planes: ``offset + scale_1 * s_1 + scale_2 * s_2 + ...`` with sign tensors ``s``.

Two values need one plane. A ladder of evenly spaced values (ternary weights, k-bit quantization) needs as many as its
number of steps has bits: the weights of the bits are 1, 2, 4, ... and, so that all signs positive is the last step and
all negative the first, a top bit of whatever is left. Values that are the sums of a few numbers (LQ-Nets, the bases of
ABC-Net) need one plane for each number.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Collection, Sequence

import numpy as np

#: How far values may lie from a ladder or a sum, relative to the largest of them: what the rounding of the
#: straight-through idiom leaves, 1e-7 of 1, is up to 6e-5 of a scale of a few thousandths.
TOLERANCE = 1e-4
MOST_PLANES = 5
_MOST_STEPS = 31
#: More uneven values than this are not compared with one threshold each.
_MOST_THRESHOLDS = 3


@dataclasses.dataclass(frozen=True)
class Planes:
    """How a tensor of few values is made of sign tensors.

    Parameters
    ----------
    values
        The tensor's values, ascending.
    offset
        What is added to the planes.
    scales
        One for each plane; positive and descending.
    """

    values: tuple[float, ...]
    offset: float
    scales: tuple[float, ...]

    def __len__(self) -> int:
        """Return the number of planes."""
        return len(self.scales)

    @property
    def is_sign(self) -> bool:
        """Whether these are the values of a sign with a scale: two values, or -b, 0, b."""
        return len(self.scales) == 1 or (len(self.values) == _TERNARY and not self.offset)

    @property
    def is_thermometer(self) -> bool:
        """Whether the planes are the comparisons with the midpoints between the values, one each."""
        return len(self.scales) == len(self.values) - 1

    def signs_of(self, value: float) -> tuple[int, ...]:
        """Return the planes' signs that stand for the value next to the one given."""
        nearest = min(self.values, key=lambda known: abs(known - value))
        if self.is_thermometer:
            return tuple(1 if nearest >= known else -1 for known in self.values[1:])
        signs = []
        rest = nearest - self.values[0]
        for threshold, scale in zip(self.thresholds(), self.scales, strict=True):
            signs.append(1 if rest >= threshold else -1)
            rest -= 2 * scale if signs[-1] == 1 else 0
        return tuple(signs)

    def thresholds(self) -> tuple[float, ...]:
        """Return what each plane compares.

        A thermometer compares the values themselves. Otherwise a plane compares what the planes before it left of the
        distance to the lowest value, and what it leaves is less by ``2 * scale`` where it is positive.
        """
        if self.is_thermometer:
            return tuple((low + high) / 2 for low, high in itertools.pairwise(self.values))
        found, rests = [], [value - self.values[0] for value in self.values]
        for scale in self.scales:
            above = [rest for rest in rests if rest >= 2 * scale * (1 - TOLERANCE)]
            below = [rest for rest in rests if rest < 2 * scale * (1 - TOLERANCE)]
            found.append((min(above, default=2 * scale) + max(below, default=0.0)) / 2)
            rests = [rest - 2 * scale if rest >= found[-1] else rest for rest in rests]
        return tuple(found)


_TERNARY = 3


def planes_of(values: Collection[float] | None) -> Planes | None:
    """Return the fewest planes that the values are made of; None if there are too many or they follow no rule."""
    return None if values is None else _planes_of(tuple(sorted(values)))


@functools.cache
def _planes_of(found: tuple[float, ...]) -> Planes | None:
    if len(found) <= 1:
        return None
    steps = ladder(found)
    candidates = [
        plane
        for plane in (
            None if steps is None else _of_ladder(found, steps),
            _of_sums(found),
            _of_thresholds(found),
        )
        if plane is not None and len(plane) <= MOST_PLANES and _decodes(plane)
    ]
    return min(candidates, key=len, default=None)


def ladder(values: Sequence[float]) -> float | None:
    """Return the step of the evenly spaced ladder that ascending values stand on, some rungs perhaps empty."""
    tolerance = TOLERANCE * max(abs(value) for value in values)
    step = 0.0
    for low, high in itertools.pairwise(values):
        step = _common_measure(step, high - low, 10 * tolerance)
    rungs = round((values[-1] - values[0]) / step) if step > tolerance else _MOST_STEPS + 1
    if rungs > _MOST_STEPS:
        return None
    step = (values[-1] - values[0]) / rungs
    even = all(abs((value - values[0]) - step * round((value - values[0]) / step)) <= 2 * tolerance for value in values)
    return step if even else None


def _common_measure(a: float, b: float, tolerance: float) -> float:
    """Euclid's algorithm on lengths."""
    while b > tolerance:
        a, b = b, math.fmod(a, b)
        if b > 0 and abs(a - b) <= tolerance:  # the remainder of a rounded multiple
            b = 0.0
    return a


def bits_of_ladder(steps: int) -> list[int]:
    """Return the weights of the bits that count to ``steps`` and no further, descending."""
    bits = steps.bit_length()
    lower = [1 << bit for bit in range(bits - 1)]
    return sorted([*lower, steps - sum(lower)], reverse=True)


def _of_ladder(values: Sequence[float], step: float) -> Planes:
    bits = bits_of_ladder(round((values[-1] - values[0]) / step))
    return Planes(tuple(values), _middle(values), tuple(bit * step / 2 for bit in bits))


def _of_sums(values: Sequence[float]) -> Planes | None:
    """Find the numbers whose partial sums the distances to the lowest value are: all of them, or none is found."""
    tolerance = TOLERANCE * max(abs(value) for value in values)
    numbers: list[float] = []
    sums = [0.0]
    for distance in (value - values[0] for value in values):
        if min(abs(distance - known) for known in sums) > 2 * tolerance:
            numbers.append(distance)
            sums += [distance + known for known in sums]
            if len(sums) > len(values):
                return None
    return Planes(tuple(values), _middle(values), tuple(number / 2 for number in reversed(numbers)))


def _of_thresholds(values: Sequence[float]) -> Planes | None:
    if len(values) - 1 > _MOST_THRESHOLDS:
        return None
    return Planes(tuple(values), _middle(values), tuple((high - low) / 2 for low, high in itertools.pairwise(values)))


def _middle(values: Sequence[float]) -> float:
    """Return the value between the outermost two; exactly zero where they are each other's negative."""
    low, high = values[0], values[-1]
    return 0.0 if abs(low + high) <= TOLERANCE * max(abs(low), abs(high)) else (low + high) / 2


def _decodes(planes: Planes) -> bool:
    """Tell whether the planes give every value back."""
    tolerance = 4 * TOLERANCE * max(abs(value) for value in planes.values)
    return all(
        abs(planes.offset + float(np.dot(planes.signs_of(value), planes.scales)) - value) <= tolerance
        for value in planes.values
    )
