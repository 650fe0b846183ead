"""The secret that a device may ask for: clients prove that they know it, without sending it."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from schedules.errors import UserError


def read_secret(path: Path | None) -> bytes:
    """Return the secret in a file, white space at its end left out; empty without a file.

    Raises
    ------
    UserError
        If the file cannot be read, or is empty.
    """
    if path is None:
        return b""
    try:
        secret = path.read_bytes().rstrip()
    except OSError as error:
        raise UserError(f"secret '{path}': cannot be read ({error.strerror})") from None
    if not secret:
        raise UserError(f"secret '{path}': the file is empty")
    return secret


def proof(secret: bytes, match_key: str) -> str:
    """Return what shows a server that we know its secret: HMAC-SHA-256 of what we introduce ourselves as."""
    return hmac.new(secret, f"client:{match_key}".encode(), hashlib.sha256).hexdigest()


def greeting(match_key: str, secret: bytes) -> str:
    """Return what we introduce ourselves as: with the proof that we know the secret, if there is one."""
    return f"client:{match_key}" + (f" -proof={proof(secret, match_key)}" if secret else "")
