"""What a run changed of a module: of two copies, one from before and one from after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.nn.parameter import is_lazy

#: What ``torch.nn.Module`` keeps for itself.
_INTERNAL = frozenset(vars(torch.nn.Module()))
_SIMPLE = (bool, int, float, complex, str, bytes, type(None))
_DEEPEST = 4


def changed_state(before: torch.nn.Module, after: torch.nn.Module) -> list[str]:
    """Return the paths of parameters, buffers and attributes that differ between two copies of a module.

    Objects that are neither tensors nor numbers nor texts, nor lists or dicts of those, are not looked into.
    """
    old, new = _state(before), _state(after)
    return sorted(name for name in old.keys() | new.keys() if not _is_same(old.get(name), new.get(name)))


def _state(module: torch.nn.Module) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for path, submodule in module.named_modules():
        own = {name: value for name, value in vars(submodule).items() if name not in _INTERNAL}
        tensors: dict[str, Any] = {**submodule._parameters, **submodule._buffers}
        for name, value in (tensors | own).items():
            state.update(_leaves(f"{path}.{name}" if path else name, value, 0))
    return state


def _leaves(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (torch.Tensor, *_SIMPLE)):
        yield path, value
        held: Mapping[Any, Any] = vars(value) if isinstance(value, torch.Tensor) else {}
    elif isinstance(value, Mapping):
        held = value
    elif isinstance(value, (list, tuple)):
        held = dict(enumerate(value))
    else:
        return
    if depth < _DEEPEST:
        for name, each in held.items():
            yield from _leaves(f"{path}.{name}", each, depth + 1)


def _is_same(old: Any, new: Any) -> bool:
    if not isinstance(old, torch.Tensor) or not isinstance(new, torch.Tensor):
        return type(old) is type(new) and bool(old == new)
    if is_lazy(old) or is_lazy(new):
        return type(old) is type(new)
    return old.shape == new.shape and old.dtype == new.dtype and bool(torch.equal(old, new))
