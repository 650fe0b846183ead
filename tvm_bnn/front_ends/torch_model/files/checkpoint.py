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
from tvm_bnn.front_ends.first_line import first_line

#: Under what training scripts keep the weights, next to the epoch and the optimizer. Where there are trained weights
#: and their running mean, the former are taken.
_HOLDERS = (
    *("state_dict", "model", "model_state_dict", "net", "network", "weights", "params"),
    *("ema", "model_ema", "state_dict_ema", "ema_state_dict", "model_ema_state_dict", "params_ema"),
    *("swa", "swa_model", "swa_state_dict"),
)
#: What wrappers put before every name: DataParallel, Lightning and its like, torch.compile.
_PREFIXES = ("module.", "model.", "_orig_mod.", "net.", "network.", "ema_model.")
#: What wrappers of a part of a model put amid names.
_INSERTED = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
#: What an averaged model counts, beside the weights.
_COUNTERS = frozenset({"n_averaged", "initted", "step"})
_MOST_NAMED = 3


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Load a checkpoint into a module, which is changed.

    Parameters
    ----------
    module
        Its parameters keep their types: numbers of another type are converted, as PyTorch does.
    path
        A state dict, or a dict that holds one under ``state_dict``, ``model``, ``net`` or another of ``_HOLDERS``, with
        or without what wrappers put before the names.

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
    """Return the state dict that a checkpoint is, or holds; other tensors may lie beside what holds it."""
    if isinstance(loaded, Mapping):
        for holder in _HOLDERS:
            held = loaded.get(holder)
            if isinstance(held, Mapping) and held:
                return _state_dict(held, path)
        if any(isinstance(value, torch.Tensor) for value in loaded.values()):
            return loaded
    found = (
        f"a dict of {', '.join(map(repr, list(loaded)[:_MOST_NAMED])) or 'nothing'}"
        if isinstance(loaded, Mapping)
        else f"a {type(loaded).__name__}"
    )
    raise UserError(
        f"weights '{path}' hold {found}; expected a state dict, or one under {', '.join(map(repr, _HOLDERS[:4]))}, …"
    )


def _without_prefix(weights: Mapping[str, Any], module: torch.nn.Module) -> Mapping[str, Any]:
    """Strip what wrappers put into all names, as long as the module's own names do not have it."""
    own = set(module.state_dict())
    for inserted in _INSERTED:
        if not any(inserted in name for name in own):
            weights = {name.replace(inserted, ""): value for name, value in weights.items()}
    while not own <= weights.keys():
        stripped = next(filter(None, (_inside(weights, own, prefix) for prefix in _PREFIXES)), None)
        if stripped is None:
            break
        weights = stripped
    return weights


def _inside(weights: Mapping[str, Any], own: set[str], prefix: str) -> Mapping[str, Any] | None:
    """Return what lies under a prefix, by its names without it; None if that is not the model.

    It is if nothing else is there, or if it has all the model's names: a training module has a loss beside its model.
    """
    inside = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    if not inside or any(name.startswith(prefix) for name in own):
        return None
    is_all = all(name.startswith(prefix) or name in _COUNTERS for name in weights)
    return inside if is_all or own <= inside.keys() else None
