"""The one exception that the command line turns into a single line on stderr."""

from __future__ import annotations


class UserError(ValueError):
    """Something the user gave cannot be used.

    The message is one line: it names the thing, what was found and what would do.
    """
