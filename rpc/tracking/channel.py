"""A caller's end of a connection: plain, as TVM's own tools speak, or in frames after both ends proved the secret."""

from __future__ import annotations

import hmac
import socket
import struct
from collections.abc import Callable

from rpc.tracking.frames import CODE, LENGTH, MOST_FRAME, Direction, frame_length
from rpc.tracking.shared_secret import ELSEWHERE, NONCE, PROOF, SECURE_MAGIC, agree
from rpc.tracking.wire import receive

_INTEGER = struct.Struct("<i")


class StrangerError(ConnectionError):
    """The other end is not who we asked for, or says what it must not; the text says which."""


class Channel:
    """An open connection, on which bytes travel as they are."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._connection.sendall(data)

    def receive(self, count: int) -> bytes:
        """Return so many bytes; a ConnectionError if they do not come."""
        return receive(self._connection, count)

    def limit(self, seconds: float | None) -> None:
        """Set for how long later calls wait."""
        self._connection.settimeout(seconds)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


class SecureChannel(Channel):
    """A connection on which bytes travel in frames that nobody else can make."""

    def __init__(self, connection: socket.socket, outward: bytes, inward: bytes) -> None:
        super().__init__(connection)
        self._outward, self._inward = Direction(outward), Direction(inward)
        self._rest = memoryview(b"")

    def send(self, data: bytes) -> None:
        """Send all of it, in as many frames as it takes."""
        whole = memoryview(data)
        for start in range(0, len(whole), MOST_FRAME):
            self._connection.sendall(self._outward.sealed(bytes(whole[start : start + MOST_FRAME])))

    def receive(self, count: int) -> bytes:
        """Return so many bytes; a ConnectionError if they do not come, or are not those that were sent."""
        parts = []
        while count:
            if not self._rest:
                self._rest = memoryview(self.receive_frame())
            parts.append(bytes(self._rest[:count]))
            self._rest = self._rest[count:]
            count -= len(parts[-1])
        return b"".join(parts)

    def receive_frame(self) -> bytes:
        """Return the content of the next frame."""
        try:
            length = frame_length(receive(self._connection, LENGTH.size))
            return self._inward.opened(receive(self._connection, length), receive(self._connection, CODE))
        except ValueError as error:
            raise StrangerError(f"it sent {error}") from None


def secure_channel(connection: socket.socket, secret: bytes, hello: str) -> SecureChannel:
    """Prove to the other end that we know the secret, once it has proven that it does.

    Parameters
    ----------
    connection
        Just made.
    secret
        Not empty.
    hello
        What we say first.

    Raises
    ------
    StrangerError
        If the other end does not know the secret, or is not the one that we meant.
    """
    said = hello.encode()
    connection.sendall(_INTEGER.pack(SECURE_MAGIC) + _INTEGER.pack(len(said)) + said)
    (magic,) = _INTEGER.unpack(_answered(lambda: receive(connection, _INTEGER.size)))
    if magic == ELSEWHERE:
        raise StrangerError("it says that it is another one: somebody is in between, or forwards another port to it")
    if magic != SECURE_MAGIC:
        raise StrangerError("it expects another client, or none that knows a secret")
    nonce, proof = receive(connection, NONCE), receive(connection, PROOF)
    agreed = agree(secret, hello, nonce)
    if not hmac.compare_digest(proof, agreed.called):
        raise StrangerError("it does not know the lab's secret")
    connection.sendall(agreed.caller)
    return SecureChannel(connection, agreed.to_called, agreed.to_caller)


def _answered(wait: Callable[[], bytes]) -> bytes:
    try:
        return wait()
    except ConnectionResetError:
        raise StrangerError("it ended the connection: it has no secret, or another one") from None
