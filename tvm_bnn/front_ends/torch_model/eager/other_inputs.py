"""Inputs of other kinds than the example: a branch on the data that none of them takes is hard to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

Inputs = tuple[torch.Tensor, ...]
_Kind = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def other_inputs(inputs: Sequence[torch.Tensor]) -> Iterator[Inputs]:
    """Yield other inputs of the same shapes and types: all of a kind, and where there are several, one after the other.

    Integers may be too large for a table; who runs these has to expect that the model fails.
    """
    given = tuple(inputs)
    generator = torch.Generator().manual_seed(1)
    for kind in (*_FLOATS, *_INTEGERS):
        changed = tuple(_of_kind(kind, value, generator) for value in given)
        yield changed
        if len(given) > 1:
            for index, value in enumerate(changed):
                yield (*given[:index], value, *given[index + 1 :])


def _of_kind(kind: _Kind, value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a value of a kind, or the value itself if that kind is of another type."""
    if value.is_floating_point():
        return kind(value.float(), generator).to(value.dtype) if kind in _FLOATS else value
    return value if kind in _FLOATS or value.is_complex() else kind(value, generator).to(value.dtype)


def _noise(scale: float) -> _Kind:
    return lambda value, generator: scale * torch.randn(value.shape, generator=generator)


def _constant(number: float) -> _Kind:
    return lambda value, generator: torch.full_like(value, number)


def _integers(end: int) -> _Kind:
    return lambda value, generator: torch.randint(0, end, value.shape, generator=generator).to(value.dtype)


def _half_black(value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    changed = value.clone()
    changed[..., : value.shape[-1] // 2 if value.dim() else 0] = 0
    return changed


def _one_row(value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return value[:1].expand(value.shape).clone() if value.dim() else value


def _shuffled(value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return value.flatten()[torch.randperm(value.numel(), generator=generator)].reshape(value.shape)


#: Of floating point: opposite; noise of any size; black, constant and half black pictures; pixels, steps in time.
_FLOATS: tuple[_Kind, ...] = (
    lambda value, generator: -value,
    *map(_noise, (0.1, 1.0, -1.0, 10.0, 1e-6, 1e3, 1e6)),
    *map(_constant, (0.0, 0.5, 1.0, -1.0, 255.0, 1000.0)),
    _half_black,
    _one_row,
    *map(_integers, (2, 256, 2000)),
    lambda value, generator: value.abs() + 1,
    lambda value, generator: -value.abs() - 1,
)
#: Of integers and truth values: the same ones in another order, and others from the smallest on.
_INTEGERS: tuple[_Kind, ...] = (_shuffled, _one_row, *map(_constant, (0, 1)), *map(_integers, (2, 10, 100, 2000)))
