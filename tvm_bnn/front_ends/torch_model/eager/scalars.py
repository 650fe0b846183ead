"""The Python scalars that a module reads from tensors: noted in one run, answered from the notes in another."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

_READS = frozenset(
    {
        *("item", "tolist", "numpy", "__array__", "__contains__", "equal", "allclose", "is_nonzero"),
        *("__bool__", "__int__", "__float__", "__complex__", "__index__"),
    }
)
_HERE = str(Path(__file__).parent)


class Read(NamedTuple):
    """A scalar, and the line of the user's code that read it."""

    value: Any
    place: str

    def is_same(self, other: Read) -> bool:
        """Tell whether the same was read at the same place; NaN is the same as NaN."""
        if self.place != other.place or type(self.value) is not type(other.value):
            return False
        if isinstance(self.value, (float, np.ndarray)):
            return bool(np.array_equal(self.value, other.value, equal_nan=np.asarray(self.value).dtype.kind in "fc"))
        return bool(self.value == other.value)


class Record(TorchFunctionMode):
    """Notes every scalar that is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[Read] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in _READS:
            # A copy: an array may share the memory of a tensor that is written to later.
            self.reads.append(Read(np.array(result) if isinstance(result, np.ndarray) else result, _caller()))
        return result


class Replay(TorchFunctionMode):
    """Answers reads from a record, each run of the module from its beginning."""

    def __init__(self, reads: Sequence[Read], module: torch.nn.Module) -> None:
        """Watch a module, to which a hook is added."""
        super().__init__()
        self._reads = reads
        self._next = iter(reads)
        module.register_forward_pre_hook(self._restart)

    def _restart(self, *_: Any) -> None:
        self._next = iter(self._reads)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") not in _READS:
            return func(*args, **(kwargs or {}))
        value = next(self._next).value
        return value.copy() if isinstance(value, np.ndarray) else value


def _caller() -> str:
    """Return the innermost line of the user's code on the stack."""
    frames = [
        frame
        for frame in traceback.extract_stack()
        if "/torch/" not in frame.filename and not frame.filename.startswith(_HERE)
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}"
