"""Text from elsewhere, as it may be printed: no control characters, and no more than a line's worth."""

from __future__ import annotations

_MOST = 200


def printable(text: str, most: int = _MOST) -> str:
    """Return a text with a question mark for each character that is none to be seen, cut where it is long."""
    shown = "".join(character if character.isprintable() else "?" for character in text[: most + 1])
    return shown if len(shown) <= most else shown[:most] + "…"
