"""Read from a connection what its other end has announced, all of it."""

from __future__ import annotations

import socket

_MOST_AT_ONCE = 1 << 20


def receive(connection: socket.socket, count: int) -> bytes:
    """Return so many bytes.

    Raises
    ------
    ConnectionResetError
        If the connection ends before.
    """
    parts = []
    while count:
        part = connection.recv(min(count, _MOST_AT_ONCE))
        if not part:
            raise ConnectionResetError("the connection was closed")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
