"""Files of one JSON value a line that several processes append to, and that survive being cut off anywhere.

Who writes holds the folder's lock. A line that a killed process left unfinished is cut off by the next who writes, and
skipped, with a warning, by whoever reads.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from schedules.errors import UserError

Warn = Callable[[str], None]
_LOCK = ".lock"
#: How names of files begin that are being written.
_TEMPORARY = ".writing_"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; the system lets go of it when the process ends, however that happens.

    Raises
    ------
    UserError
        If the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"log '{folder}': cannot be written ({error.strerror})") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _sweep(folder)
        yield
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what a killed writer had not renamed yet: who holds the lock is the only one who writes."""
    for left in folder.glob(f"{_TEMPORARY}*"):
        left.unlink(missing_ok=True)


def append(path: Path, lines: Sequence[bytes]) -> None:
    """Append whole lines, or none of them; the caller holds the folder's lock.

    Raises
    ------
    UserError
        If the disk is full, or the file cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"log '{path}': cannot be written ({error.strerror})") from None
    end = 0
    try:
        end = _end_of_lines(descriptor)
        os.ftruncate(descriptor, end)
        _write(descriptor, b"".join(line + b"\n" for line in lines), end)
        os.fsync(descriptor)
    except OSError as error:
        os.ftruncate(descriptor, end)
        raise UserError(f"log '{path}': {error.strerror}; nothing of this round was kept, all before it is") from None
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, at)
        data, at = data[written:], at + written


def _end_of_lines(descriptor: int) -> int:
    """Return where to append: behind the last line that is finished."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


_BLOCK = 1 << 16


def read(path: Path, warn: Warn) -> Iterator[tuple[int, Any]]:
    """Yield the number, from 1, and the value of every line that is whole; say which are not.

    Raises
    ------
    UserError
        If the file is there but cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"log '{path}': cannot be read ({error.strerror})") from None
    *lines, rest = content.split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            yield number, msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            warn(f"log '{path}', line {number}: {'an empty line' if not line.strip() else 'no JSON'}; skipped")
        except RecursionError:
            warn(f"log '{path}', line {number}: nested too deeply; skipped")
    if rest:
        warn(f"log '{path}', line {len(lines) + 1}: cut off; skipped")


def replace(path: Path, lines: Sequence[bytes]) -> None:
    """Put new content in a file's place, all of it or nothing; the caller holds the folder's lock.

    Raises
    ------
    UserError
        If the disk is full, or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_TEMPORARY, delete=False) as file:
            try:
                file.write(b"".join(line + b"\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(0o644)
                Path(file.name).rename(path)
            except OSError:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise UserError(f"log '{path}': cannot be written ({error.strerror})") from None
