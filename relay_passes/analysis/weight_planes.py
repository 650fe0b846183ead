"""A constant weight as a sum of sign tensors, each with a scale per output channel."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relay_passes.analysis.planes import TOLERANCE, Planes, planes_of
from relay_passes.analysis.values import describe

Array = npt.NDArray[Any]

_MOST_VALUES = 32
#: So many elements stand for one value at least: any two numbers are "two values".
_LEAST_EVIDENCE = 2
#: A channel's values are listed up to so many, and counted beyond.
_MOST_LISTED = 4


@dataclasses.dataclass(frozen=True)
class WeightPlanes:
    """A weight of few values: ``offset + scales[0] * signs[0] + scales[1] * signs[1] + ...`` per output channel.

    ``signs`` is ``(P, O, ...)`` float32 of ±1, ``scales`` ``(P, O)`` and ``offset`` ``(O,)`` float32. The offset of
    ±scale is 0.
    """

    signs: npt.NDArray[np.float32]
    scales: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of planes."""
        return len(self.scales)


def weight_planes(weight: Array) -> WeightPlanes | str:
    """Split an ``(O, ...)`` weight into sign tensors, or say why that is impossible.

    Looked for are two values per output channel, then few values that all channels share, then few values per channel.
    """
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    found = _two_values(rows)
    if found is None:
        found = _shared_values(rows)
    if found is None:
        found = _values_per_channel(rows)
    if found is None:
        return _refusal(rows)
    signs, scales, offset = found
    shaped = signs.astype(np.float32).reshape(len(signs), *weight.shape)
    return WeightPlanes(shaped, scales.astype(np.float32), offset.astype(np.float32))


def _two_values(rows: Array) -> tuple[Array, Array, Array] | None:
    """Return one plane; a channel of one value only, zeros for instance, is ± that value."""
    low, high = rows.min(axis=1), rows.max(axis=1)
    magnitude = np.abs(rows).mean(axis=1)
    opposite = (np.abs(np.abs(rows) - magnitude[:, None]) <= TOLERANCE * magnitude[:, None]).all(axis=1)
    middle = np.where(opposite, 0.0, (low + high) / 2)
    half = np.where(opposite, magnitude, (high - low) / 2)
    signs = np.where(rows < middle[:, None], -1.0, 1.0)
    off = np.abs(rows - middle[:, None] - half[:, None] * signs) > TOLERANCE * np.abs(rows).max(axis=1)[:, None]
    return None if off.any() else (signs[None], half[None], middle)


def _shared_values(rows: Array) -> tuple[Array, Array, Array] | None:
    planes = None if _clustered(rows[0]) is None else _planes_of_row(rows.ravel())
    if planes is None:
        return None
    signs = _signs(rows, planes)
    scales = np.repeat(np.array(planes.scales)[:, None], len(rows), axis=1)
    return signs, scales, np.full(len(rows), planes.offset)


def _values_per_channel(rows: Array) -> tuple[Array, Array, Array] | None:
    """Return as many planes as the channel that needs most; the others' are multiplied by zero."""
    found: list[Planes] = []
    for row in rows:
        planes = _planes_of_row(row)
        if planes is None:
            return None
        found.append(planes)
    most = max(map(len, found))
    signs = np.ones((most, *rows.shape))
    scales = np.zeros((most, len(rows)))
    for channel, planes in enumerate(found):
        signs[: len(planes), channel] = _signs(rows[channel], planes)
        scales[: len(planes), channel] = planes.scales
    return signs, scales, np.array([planes.offset for planes in found])


def _planes_of_row(row: Array) -> Planes | None:
    """Return the planes of a channel's values.

    A channel need not use every rung of a ladder: with the negatives of its values the offset is zero, which saves the
    sum over the window, unless that takes more planes.
    """
    values = _clustered(row)
    if values is None or len(values) * _LEAST_EVIDENCE > max(len(row), _LEAST_EVIDENCE):
        return None
    if len(values) == 1:
        (value,) = values
        return Planes((-abs(value), abs(value)), 0.0, (abs(value),))
    mirrored = _clustered(np.array([sign * value for sign, value in itertools.product((-1, 1), values)]))
    candidates = [planes for planes in map(planes_of, (values, mirrored or ())) if planes is not None]
    return min(candidates, key=lambda planes: (len(planes), planes.offset != 0), default=None)


def _clustered(row: Array) -> Sequence[float] | None:
    """Return the different values, rounding aside, ascending; None if they are many."""
    ordered = np.unique(row)
    gaps = np.flatnonzero(np.diff(ordered) > 2 * TOLERANCE * np.abs(row).max(initial=0))
    if len(gaps) + 1 > _MOST_VALUES:
        return None
    return [float((part[0] + part[-1]) / 2) for part in np.split(ordered, gaps + 1)]


def _signs(rows: Array, planes: Planes) -> Array:
    """Return ``(P, ...)`` signs: those of the nearest of the values."""
    values = np.array(planes.values)
    codes = np.array([planes.signs_of(value) for value in planes.values], float)
    nearest = np.abs(rows[..., None] - values).argmin(axis=-1)
    return np.moveaxis(codes[nearest], -1, 0)


def _refusal(rows: Array) -> str:
    for channel, row in enumerate(rows):
        found = np.unique(row)
        if _planes_of_row(row) is None:
            few = len(found) <= _MOST_LISTED
            values = describe(frozenset(found.tolist())) if few else f"{len(found)} different values"
            zeros = int((rows == 0).sum())
            return f"its weights take more than a few values: channel {channel} holds {values}" + (
                f", and {zeros} weights are zero" if zeros else ""
            )
    return "its weights take many values"
