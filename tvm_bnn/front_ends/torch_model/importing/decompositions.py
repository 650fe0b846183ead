"""Operators that TVM 0.27's importer lacks or mistranslates, in terms of others that it translates rightly.

Each function takes an operator's arguments, and returns what it computes; ``NotImplemented`` leaves it as it is.

* Indices below zero, boxes of indices, and indices with a gap between them are read by one flat index. TVM reads
  beyond the tensor, or gives the result another shape.
* Pictures are resized to the pixels that PyTorch picks, by rows and columns that are constants of the model; TVM rounds
  the ratio of the sizes, and does not know of a ratio that was given.
* SELU's two scales, minima along an axis, uneven adaptive average pools, and divisors of pools.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch._decomp import decomposition_table, get_decompositions
from torch.export import default_decompositions

_ATEN = torch.ops.aten
_PICTURES, _POWERS = 4, frozenset({1, 2, 4, 8, 16})
#: What an operator gives, a tensor or several, or ``NotImplemented``.
Made: TypeAlias = Any
#: Products that PyTorch would take apart into sums of products, in which nobody would find a layer.
_LAYERS = (_ATEN.mv.default, _ATEN.dot.default, _ATEN.vdot.default)
#: PyTorch's own, written with operators that are translated rightly.
_THEIRS = (_ATEN.elu, _ATEN.upsample_trilinear3d)


def decompositions() -> Any:
    """Return PyTorch's table of decompositions with our own."""
    table = default_decompositions()
    for layer in _LAYERS:
        if layer in table:
            del table[layer]
    for operator, function in get_decompositions(_THEIRS).items():
        table[operator] = function
    for operator, function in _OURS.items():
        table[operator] = function
    return table


def _select(x: Tensor, axis: int, index: int) -> Made:
    return _ATEN.select.int(x, axis, index + x.shape[axis]) if index < 0 else NotImplemented


def _index(x: Tensor, indices: Sequence[Tensor | None]) -> Made:
    """Lay the indexed axes flat, and read them by one index."""
    given = {axis: index for axis, index in enumerate(indices) if index is not None}
    if any(index.dtype in {torch.bool, torch.uint8} for index in given.values()):
        return NotImplemented
    axes = list(given)
    others = [axis for axis in range(x.dim()) if axis not in given]
    flat: Tensor | None = None
    for axis, index in given.items():
        wrapped = torch.where(index < 0, index + x.shape[axis], index)
        flat = wrapped if flat is None else flat * x.shape[axis] + wrapped
    assert flat is not None, "an index that indexes nothing"
    shape = flat.shape
    kept = [x.shape[axis] for axis in others]
    rows = x.permute(*axes, *others).reshape(math.prod(x.shape[axis] for axis in axes), *kept)
    read = rows.index_select(0, flat.reshape(-1)).reshape(*shape, *kept)
    together = axes == list(range(axes[0], axes[-1] + 1))
    before = axes[0] if together else 0
    order = [*range(len(shape), len(shape) + before), *range(len(shape)), *range(len(shape) + before, read.dim())]
    return read.permute(order)


def _nearest(x: Tensor, sizes: Sequence[int], scales: Sequence[float | None], exact: bool) -> Made:
    """Pick the pixels that PyTorch's kernel does, which computes their places in float32.

    Where pictures grow by a power of two, the resizing kernel picks the same.
    """
    first = x.dim() - len(sizes)
    factors = [size / extent for size, extent in zip(sizes, x.shape[first:], strict=True)]
    grown = all(f in _POWERS and scale in {None, f} for scale, f in zip(scales, factors, strict=True))
    if x.dim() == _PICTURES and grown and not exact:
        return NotImplemented
    for axis, (size, scale) in enumerate(zip(sizes, scales, strict=True), first):
        extent = x.shape[axis]
        if size == extent and (scale is None or scale == 1):
            continue
        ratio = float(np.float32(extent / size if scale is None else 1 / scale))
        places = (torch.arange(size, dtype=torch.float32, device=x.device) + (0.5 if exact else 0.0)) * ratio
        x = x.index_select(axis, places.floor().to(torch.int64).clamp(max=extent - 1))
    return x


def _resize_nearest(exact: bool, x: Tensor, size: Sequence[int], *scales: float | None) -> Made:
    given = (*scales, *([None] * (len(size) - len(scales))))
    return _nearest(x, size, given, exact)


def _resize_nearest_by(exact: bool, x: Tensor, size: Sequence[int] | None, factors: Sequence[float] | None) -> Made:
    if size is not None:
        return _nearest(x, size, [None] * len(size), exact)
    assert factors is not None, "neither a size nor a factor"
    extents = x.shape[x.dim() - len(factors) :]
    sizes = [math.floor(extent * factor) for extent, factor in zip(extents, factors, strict=True)]
    return _nearest(x, sizes, factors, exact)


def _resize_linear(x: Tensor, size: Sequence[int] | None, align: bool, factors: Sequence[float] | None) -> Made:
    """Leave it to the resizing kernel unless a factor was given that is not the ratio of the sizes."""
    if (
        factors is None
        or align
        or all((extent * f).is_integer() for extent, f in zip(x.shape[2:], factors, strict=True))
    ):
        return NotImplemented
    theirs: Callable[..., Tensor] = decomposition_table[_ATEN.upsample_bilinear2d.vec]
    return theirs(x, size, align, factors)


def _min(x: Tensor, axis: int, keepdim: bool = False) -> Made:
    if not x.dtype.is_floating_point:
        return NotImplemented
    values, places = torch.max(-x, axis, keepdim)
    return -values, places


def _uneven(extent: int, size: int) -> tuple[Tensor, Tensor]:
    """Return where each window of an adaptive pool reads, ``(size, longest)``, and which of that is in it."""
    numbers = torch.arange(size)
    starts = torch.div(numbers * extent, size, rounding_mode="floor")
    ends = torch.div((numbers + 1) * extent + size - 1, size, rounding_mode="floor")
    longest = max(-(-(place + 1) * extent // size) - place * extent // size for place in range(size))
    places = starts.unsqueeze(1) + torch.arange(longest)
    return places.clamp(max=extent - 1), places < ends.unsqueeze(1)


def _windows(x: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return what each window of a 2-D adaptive pool reads, ``(..., rows, high, columns, wide)``, and what is in it."""
    (rows, in_rows), (columns, in_columns) = (
        _uneven(extent, out) for extent, out in zip(x.shape[-2:], size, strict=True)
    )
    read = x.index_select(-2, rows.reshape(-1)).index_select(-1, columns.reshape(-1))
    read = read.reshape(*x.shape[:-2], *rows.shape, *columns.shape)
    return read, in_rows[:, :, None, None] & in_columns


def _adaptive_avg(x: Tensor, size: Sequence[int]) -> Made:
    if all(extent % out == 0 for extent, out in zip(x.shape[-2:], size, strict=True)):
        return NotImplemented
    read, inside = _windows(x, size)
    share = inside.to(x.dtype)
    return (read * share).sum((-3, -1)) / share.sum((-3, -1))


def _avg_pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Made:
    if divisor_override is None or ceil_mode:
        return NotImplemented
    mean = _ATEN.avg_pool2d.default(x, kernel, stride or kernel, padding, False, True, None)
    return mean * (kernel[0] * kernel[-1] / divisor_override)


_OURS: dict[Any, Callable[..., Any]] = {
    _ATEN.select.int: _select,
    _ATEN.index.Tensor: _index,
    _ATEN._unsafe_index.Tensor: _index,
    _ATEN.upsample_bilinear2d.vec: _resize_linear,
    _ATEN.min.dim: _min,
    _ATEN._adaptive_avg_pool2d.default: _adaptive_avg,
    _ATEN.avg_pool2d.default: _avg_pool,
}
for _rank in (1, 2, 3):
    for _name, _exact in ((f"upsample_nearest{_rank}d", False), (f"_upsample_nearest_exact{_rank}d", True)):
        _OURS[getattr(_ATEN, _name).default] = functools.partial(_resize_nearest, _exact)
        _OURS[getattr(_ATEN, _name).vec] = functools.partial(_resize_nearest_by, _exact)
