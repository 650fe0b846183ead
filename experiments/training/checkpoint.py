"""Files that are there whole or not at all, so that a kill at any moment costs no more than the epoch it falls into."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from schedules.errors import UserError
from schedules.files.whole_file import read_whole, write_atomically

#: What PyTorch raises for files that it did not write, or not to their end.
_UNREADABLE = (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values; the file changes from its old content to its new one at once."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue(), "checkpoint")


def load(path: Path) -> dict[str, Any] | None:
    """Return what was saved, None if nothing was; nothing in the file is executed.

    Raises
    ------
    UserError
        If the file is no checkpoint, or a damaged one.
    """
    if not path.exists():
        return None
    data = read_whole(path, "checkpoint")
    try:
        content = torch.load(io.BytesIO(data), weights_only=True)
    except _UNREADABLE as error:
        raise _damaged(path, str(error).strip().split("\n")[0] or type(error).__name__) from error
    if not isinstance(content, dict):
        raise _damaged(path, f"it holds a {type(content).__name__}")
    return content


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"checkpoint '{path}' is damaged ({why[:200]}): delete it, and its training begins again")
