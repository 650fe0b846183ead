"""Files that are read or written as a whole: what is wrong with one is said in a line, and none is half written."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from schedules.errors import UserError

#: More than the systems that we know want to be told of at once; what is written to see whether there is room.
_BLOCK = 4096


def read_whole(path: Path, what: str, most_bytes: int | None = None) -> bytes:
    """Return a file's content.

    Parameters
    ----------
    path
        A regular file; pipes and devices, which could be waited for without end, are refused.
    what
        What errors call it.
    most_bytes
        A file that is larger is refused before it is read; None for any size.

    Raises
    ------
    UserError
        If it is not there, is no regular file, is too large, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise UserError(f"{what} '{path}' is no regular file")
            if most_bytes is not None and facts.st_size > most_bytes:
                raise UserError(f"{what} '{path}' has {facts.st_size} bytes; at most {most_bytes} are possible")
            return file.read()
    except FileNotFoundError:
        raise UserError(f"{what} '{path}': no such file") from None
    except IsADirectoryError:
        raise UserError(f"{what} '{path}' is a folder, not a file") from None
    except OSError as error:
        raise UserError(f"{what} '{path}': cannot be read ({reason(error)})") from None
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{what} {str(path)!r}: no such file (its name has a zero byte)") from None
    except MemoryError:
        raise UserError(f"{what} '{path}' is larger than the memory that there is") from None


def write_atomically(path: Path, data: bytes, what: str = "file") -> None:
    """Write a file so that its name shows the old content or all of the new, never a part.

    Raises
    ------
    UserError
        If its folder cannot be written to, or the disk is full; what was there stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"{what} '{path}': cannot be written ({reason(error)})") from None


def check_writable(path: Path, what: str) -> None:
    """Refuse to begin work whose result could not be kept; nothing is left behind.

    Parameters
    ----------
    path
        A file that will be written, or written over; folders above it that are not there yet will be made.
    what
        What errors call it.

    Raises
    ------
    UserError
        If it is a folder, or where it will lie nothing can be written.
    """
    try:
        if path.is_dir():
            raise UserError(f"{what} '{path}' is a folder: name a file")
        _try_to_write(path.parent)
    except OSError as error:
        raise UserError(f"{what} '{path}': cannot be written ({reason(error)})") from None


def check_folder(folder: Path) -> None:
    """Refuse to begin work whose results could not be kept in a folder, which need not be there yet.

    Raises
    ------
    UserError
        If it is no folder, or nothing can be written there.
    """
    try:
        _try_to_write(folder)
    except OSError as error:
        raise UserError(f"folder '{folder}': cannot be written ({reason(error)})") from None


def _try_to_write(folder: Path) -> None:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_BLOCK))


def reason(error: OSError) -> str:
    """Return what the system said, in a few words."""
    return error.strerror or str(error) or type(error).__name__
