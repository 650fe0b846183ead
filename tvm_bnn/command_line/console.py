"""Where people look: results on stdout, progress and complaints on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

_WIDTH_WHEN_PIPED = 220


def stdout() -> Console:
    """Return the console for results; wide where nobody set a width."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH_WHEN_PIPED, highlight=False)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Show what is going on: a spinner on a terminal, one line per stage otherwise."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        with console.status(name):
            yield
    else:
        console.print(f"{name} …")
        yield


def complain(message: str) -> None:
    """Print one line about what went wrong."""
    print(f"error: {message}", file=sys.stderr)
