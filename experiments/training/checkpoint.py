"""Files that are there whole or not at all, so that a kill at any moment costs no more than the epoch it falls into."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import torch


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values; the file changes from its old content to its new one at once."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load(path: Path) -> dict[str, Any] | None:
    """Return what was saved, None if nothing was; nothing in the file is executed."""
    if not path.exists():
        return None
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content
