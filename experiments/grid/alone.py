"""One run in a folder at a time: two would compute every cell twice, and record it twice."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schedules.errors import UserError
from schedules.files.whole_file import reason

_LOCK = ".run.lock"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; the system lets go of it when the process ends, however that happens.

    Raises
    ------
    UserError
        If another run holds it, or the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UserError(f"folder '{folder}': cannot be written ({reason(error)})") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"folder '{folder}': another run is at work in it; wait until it ends, or name another folder"
            ) from None
        yield
    finally:
        os.close(descriptor)
