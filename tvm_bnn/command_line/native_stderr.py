"""Keep what TVM's C++ has to warn of away from the terminal.

"BlockBuilder destroyed with remaining blocks!" and the like are for TVM's developers. They go to file descriptor 2,
past ``sys.stderr``; meanwhile that descriptor is a file, from which all other lines go on to where they were meant for.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_DESCRIPTOR = 2
_OF_TVM = re.compile(rb"^\[\d\d:\d\d:\d\d\] .*\.(cc|cpp|h):\d+: (Warning|Info|Debug): ")


@contextmanager
def without_warnings_of_tvm() -> Iterator[None]:
    """Leave TVM's warnings out of what a block writes to the terminal; ``sys.stderr`` is not held back."""
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        terminal = os.dup(_DESCRIPTOR)
        os.dup2(kept.fileno(), _DESCRIPTOR)
        own = _redirected(terminal)
        try:
            yield
        finally:
            if own is not None:
                sys.stderr.flush()
                sys.stderr = own
            os.dup2(terminal, _DESCRIPTOR)
            kept.seek(0)
            for line in kept:
                if not _OF_TVM.match(line):
                    os.write(_DESCRIPTOR, line)
            os.close(terminal)


def _redirected(terminal: int) -> IO[str] | None:
    """Let ``sys.stderr``, where it writes to the descriptor, write past it; return what it was."""
    before = sys.stderr
    try:
        if before is None or before.fileno() != _DESCRIPTOR:
            return None
    except (OSError, ValueError):  # somebody's replacement that is no file
        return None
    sys.stderr = os.fdopen(os.dup(terminal), "w", buffering=1, encoding=before.encoding, errors=before.errors)
    return before
