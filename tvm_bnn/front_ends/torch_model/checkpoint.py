"""Put the weights of a checkpoint (``torch.save``) into a module."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from schedules.errors import UserError
from tvm_bnn.front_ends.torch_model.eager.module import first_line

#: Under what training scripts keep the weights, next to the epoch and the optimizer.
_HOLDERS = ("state_dict", "model", "model_state_dict", "net")
#: What torch.nn.DataParallel puts before every name.
_PARALLEL = "module."
_MOST_NAMED = 3


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Load a checkpoint into a module, which is changed.

    Parameters
    ----------
    module
        Its parameters keep their types: numbers of another type are converted, as PyTorch does.
    path
        A state dict, or a dict that holds one under ``state_dict``, ``model``, ``model_state_dict`` or ``net``; all
        names may start with ``module.``.

    Raises
    ------
    UserError
        If the file is missing, is no such checkpoint, would need code to be run to be read, or does not fit the module.
    """
    weights = _without_prefix(_state_dict(_read(path), path), module)
    own = module.state_dict()
    reshaped = {
        name: f"{name} {_shape(weights[name])} for {_shape(value)}"
        for name, value in own.items()
        if isinstance(value, torch.Tensor)
        and isinstance(weights.get(name), torch.Tensor)
        and weights[name].shape != value.shape
    }
    fitting = {name: value for name, value in weights.items() if name not in reshaped} if reshaped else weights
    try:
        result = module.load_state_dict(fitting, strict=False)
    except RuntimeError as error:
        raise UserError(f"weights '{path}' do not fit the model: {first_line(error)}") from error
    missing = [name for name in result.missing_keys if name not in weights]
    faults = [
        *_fault("missing", missing),
        *_fault("not in the model", result.unexpected_keys),
        *_fault("of another shape", reshaped.values()),
    ]
    if faults:
        raise UserError(
            f"weights '{path}' do not fit the model: {'; '.join(faults)}; name the function that builds the model that "
            "they were saved from"
        )


def _fault(kind: str, names: Iterable[str]) -> list[str]:
    found = list(names)
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return [f"{len(found)} {kind} ({', '.join(found[:_MOST_NAMED])}{more})"] if found else []


def _shape(value: torch.Tensor) -> str:
    return "x".join(map(str, value.shape)) or "scalar"


def _read(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"weights '{path}': no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused:
            raise UserError(
                f"weights '{path}' hold more than tensors ({refused[1]}), and reading that could "
                "run code; where you trust the file, load it and write torch.save(model.state_dict(), 'weights.pth')"
            ) from error
        raise _no_checkpoint(path, error) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, AttributeError, IndexError, TypeError) as error:
        raise _no_checkpoint(path, error) from error


def _no_checkpoint(path: Path, error: Exception) -> UserError:
    return UserError(
        f"weights '{path}' are no checkpoint that torch reads ({first_line(error)}); write one with "
        "torch.save(model.state_dict(), 'weights.pth')"
    )


def _state_dict(loaded: Any, path: Path) -> Mapping[str, Any]:
    """Return the state dict that a checkpoint is, or holds."""
    if isinstance(loaded, Mapping):
        if any(isinstance(value, torch.Tensor) for value in loaded.values()):
            return loaded
        for holder in _HOLDERS:
            held = loaded.get(holder)
            if isinstance(held, Mapping):
                return _state_dict(held, path)
    found = (
        f"a dict of {', '.join(map(repr, list(loaded)[:_MOST_NAMED])) or 'nothing'}"
        if isinstance(loaded, Mapping)
        else f"a {type(loaded).__name__}"
    )
    raise UserError(
        f"weights '{path}' hold {found}; expected a state dict, or one under {', '.join(map(repr, _HOLDERS))}"
    )


def _without_prefix(weights: Mapping[str, Any], module: torch.nn.Module) -> Mapping[str, Any]:
    """Strip DataParallel's prefix, unless the module's own names have it."""
    if not all(name.startswith(_PARALLEL) for name in weights) or any(
        name.startswith(_PARALLEL) for name in module.state_dict()
    ):
        return weights
    return {name.removeprefix(_PARALLEL): value for name, value in weights.items()}
