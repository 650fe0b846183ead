"""Copy a module, so that whatever is done to the copy leaves the user's as it was.

``copy.deepcopy`` fails on parameters whose class has another constructor, and on whatever answers every
``__getattr__``. Such modules are built anew, attribute by attribute; what cannot be copied even so, a lock or a
configuration, is shared.
"""

from __future__ import annotations

import collections
import copy
from typing import Any, TypeVar

import torch

_Module = TypeVar("_Module", bound=torch.nn.Module)
_SEQUENCES = (list, tuple, set)
_MAPPINGS = (dict, collections.OrderedDict)


def copied(module: _Module) -> _Module:
    """Return a copy with parameters, buffers and submodules of its own.

    Tensors keep their attributes, such as ``weight.org``, which PyTorch's copy drops.
    """
    memo: dict[int, Any] = {}
    try:
        made = copy.deepcopy(module, memo)
        for tensor in [*module.parameters(), *module.buffers()]:
            _copy_attributes(tensor, memo)
    except Exception:
        # Whatever a constructor or a __getattr__ of the user's raises, which may be anything.
        made = _rebuilt(module, {})
    return made


def _copy_attributes(tensor: torch.Tensor, memo: dict[int, Any]) -> None:
    twin = memo.get(id(tensor))
    for name, value in vars(tensor).items():
        if twin is not None and not hasattr(twin, name):
            setattr(twin, name, copy.deepcopy(value, memo))


def _rebuilt(module: torch.nn.Module, known: dict[int, Any]) -> Any:
    made = object.__new__(type(module))
    known[id(module)] = made
    attributes = object.__getattribute__(made, "__dict__")
    for name, value in object.__getattribute__(module, "__dict__").items():
        attributes[name] = _copy_of(value, known)
    return made


def _copy_of(value: Any, known: dict[int, Any]) -> Any:
    """Return the copy of an attribute; ``known`` has those made so far, by the identity of the original."""
    if id(value) not in known:
        known[id(value)] = _made(value, known)
    return known[id(value)]


def _made(value: Any, known: dict[int, Any]) -> Any:
    if isinstance(value, torch.nn.Module):
        return _rebuilt(value, known)
    if isinstance(value, torch.Tensor):
        return _tensor(value)
    if type(value) in _SEQUENCES:
        return type(value)(_copy_of(each, known) for each in value)
    if type(value) in _MAPPINGS:
        return type(value)((key, _copy_of(each, known)) for key, each in value.items())
    try:
        return copy.deepcopy(value, known)
    except Exception:
        return value


def _tensor(value: torch.Tensor) -> torch.Tensor:
    """Return a tensor of the same class and attributes, without calling its constructor."""
    made = value.detach().clone().as_subclass(type(value))
    made.__dict__.update(value.__dict__)
    return made.requires_grad_(value.requires_grad) if value.is_floating_point() else made
