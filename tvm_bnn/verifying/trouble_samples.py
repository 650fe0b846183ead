"""Samples that look for trouble: what random numbers never are, and what inputs of a deployed model will be one day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
SEED = 1
TINY, LARGE = 1e-20, 1e6
_PIXEL = 256
_SMALL = 4
_MATRIX = 2


class Kind(NamedTuple):
    """One batch of inputs, and what they are."""

    name: str
    inputs: list[Array]


def finite_kinds(batch: Sequence[Array], limits: Sequence[int | None]) -> list[Kind]:
    """Return a batch of each kind, all of finite numbers.

    Parameters
    ----------
    batch
        Ordinary inputs: where a kind says nothing about an input, it stays as it is here.
    limits
        For each input, how many rows the table has that its integers index; None where they index none.
    """
    generator = np.random.default_rng(SEED)
    kinds = []
    if any(_is_float(array) for array in batch):
        kinds += [
            Kind(name, [make(array, generator) if _is_float(array) else array for array in batch])
            for name, make in _OF_NUMBERS.items()
        ]
    indexed = [limit is not None and not _is_float(array) for array, limit in zip(batch, limits, strict=True)]
    if any(indexed):
        kinds += [
            Kind(
                name,
                [
                    make(array, limit, generator) if limit is not None and is_index else array
                    for array, limit, is_index in zip(batch, limits, indexed, strict=True)
                ],
            )
            for name, make in _OF_INDICES.items()
        ]
    return kinds


def other_kinds(batch: Sequence[Array]) -> list[Kind]:
    """Return batches with one number that is not finite, in the middle of the first input of floats."""
    found = [index for index, array in enumerate(batch) if _is_float(array) and array.size]
    return [] if not found else [Kind(name, _with(batch, found[0], value)) for name, value in _NOT_FINITE.items()]


def _with(batch: Sequence[Array], index: int, value: float) -> list[Array]:
    changed = [array.copy() for array in batch]
    changed[index].reshape(-1)[changed[index].size // 2] = value
    return changed


def _is_float(array: Array) -> bool:
    return array.dtype.kind == "f"


def _half_black(array: Array, _generator: np.random.Generator) -> Array:
    """Set the second half along the last axis that has one to zero."""
    half = array.copy()
    axis = next((axis for axis in reversed(range(array.ndim)) if array.shape[axis] > 1), None)
    if axis is not None:
        np.moveaxis(half, axis, 0)[array.shape[axis] // 2 :] = 0
    return half


def _one_row(array: Array, _generator: np.random.Generator) -> Array:
    """Repeat the first row of each image or sequence; of vectors, the first one."""
    row = array[..., :1, :] if array.ndim >= _MATRIX else array[:1]
    return np.ascontiguousarray(np.broadcast_to(row, array.shape))


_OF_NUMBERS: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "black": lambda x, _: np.zeros_like(x),
    "constant": lambda x, _: np.ones_like(x),
    "half black": _half_black,
    f"times {TINY:g}": lambda x, _: x * x.dtype.type(TINY),
    f"times {LARGE:g}": lambda x, _: x * x.dtype.type(LARGE),
    "whole numbers from 0 to 255": lambda x, generator: generator.integers(0, _PIXEL, x.shape).astype(x.dtype),
    "small whole numbers": lambda x, generator: generator.integers(-_SMALL, _SMALL + 1, x.shape).astype(x.dtype),
    "one row repeated": _one_row,
}
_OF_INDICES: dict[str, Callable[[Array, int, np.random.Generator], Array]] = {
    "the first token": lambda x, _limit, _generator: np.zeros_like(x),
    "the last token": lambda x, limit, _generator: np.full_like(x, limit - 1),
    "tokens of the whole range": lambda x, limit, generator: generator.integers(0, limit, x.shape).astype(x.dtype),
}
_NOT_FINITE = {"NaN": np.nan, "infinity": np.inf, "minus infinity": -np.inf}
