"""Inputs as the command line describes them: ``1x3x224x224``, ``1x128:int64``, ``1x224x224x3:uint8``."""

from __future__ import annotations

import dataclasses
import re

import torch

from schedules.errors import UserError

_DESCRIPTION = re.compile(r"(?P<shape>[1-9]\d*(?:x[1-9]\d*)*)(?::(?P<dtype>\w+))?")
_DTYPES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
#: Integers that are samples of a signal more likely than indices: any of their values may occur.
BYTES = frozenset({torch.uint8, torch.int8})


@dataclasses.dataclass(frozen=True)
class ExampleInput:
    """The shape of an input, and its type, or None for the type of the model's parameters."""

    shape: tuple[int, ...]
    dtype: str | None = None

    @staticmethod
    def parse(text: str) -> ExampleInput:
        """Read a description.

        Raises
        ------
        UserError
            If it is none.
        """
        found = _DESCRIPTION.fullmatch(text)
        if found is None:
            raise UserError(f"input '{text}' is no shape; write 1x3x224x224, or 1x128:int64")
        if found["dtype"] is not None and found["dtype"] not in _DTYPES:
            raise UserError(f"input '{text}': type '{found['dtype']}' is not known; it is one of {', '.join(_DTYPES)}")
        return ExampleInput(tuple(map(int, found["shape"].split("x"))), found["dtype"])

    def tensor(self, precision: torch.dtype, generator: torch.Generator) -> torch.Tensor:
        """Return standard normal numbers, any bytes, or zeros for other integers, whose range is not known."""
        dtype = precision if self.dtype is None else getattr(torch, self.dtype)
        if dtype in BYTES:
            return random_bytes(self.shape, dtype, generator)
        if not dtype.is_floating_point:
            return torch.zeros(self.shape, dtype=dtype)
        return torch.randn(self.shape, generator=generator).to(dtype)


def random_bytes(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """Return all values of a type of :data:`BYTES` with equal chance."""
    limits = torch.iinfo(dtype)
    return torch.randint(limits.min, limits.max + 1, shape, dtype=dtype, generator=generator)
