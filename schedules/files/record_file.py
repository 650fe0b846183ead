"""Files of results: one JSON object a line, appended and never edited, by several processes if need be.

A record is appended in one write. What a killed process left of a line is no record, and whoever writes next begins a
new line behind it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from schedules.errors import UserError

_Record = TypeVar("_Record")
#: What msgspec says of a beginning, and no more.
_TRUNCATED = "truncated"


def append(path: Path, records: Sequence[msgspec.Struct], what: str = "record") -> None:
    """Append records to a file.

    Parameters
    ----------
    path
        The file; it and its folder are made if they are not there.
    records
        In order.
    what
        What errors call the file.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            for record in records:
                os.write(descriptor, b"\n" * _is_cut(descriptor) + msgspec.json.encode(record) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UserError(f"{what} '{path}': cannot be written ({error.strerror})") from None


def _is_cut(descriptor: int) -> bool:
    """Tell whether the last line of a file has no end."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def read(path: Path, kind: type[_Record], what: str = "record") -> list[_Record]:
    """Return the records of a file.

    Parameters
    ----------
    path
        The file.
    kind
        Of each of them.
    what
        What errors call the file.

    Raises
    ------
    UserError
        If it cannot be read, or a whole line is no record.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{what} '{path}': cannot be read ({error.strerror})") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            if line:
                found.append(msgspec.json.decode(line, type=kind))
        except RecursionError:
            raise UserError(f"{what} '{path}', line {number}: nested too deeply") from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if not _is_cut_off(line, error):
                raise UserError(f"{what} '{path}', line {number}: {error}") from None
    return found


def _is_cut_off(line: bytes, error: Exception) -> bool:
    """Tell whether a line is the beginning of a record; msgspec calls a cut number malformed, all else truncated."""
    return _TRUNCATED in str(error) or (line.startswith(b"{") and not line.endswith(b"}"))
