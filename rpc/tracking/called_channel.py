"""The called end of a connection in the tracker: plain, or in frames after both ends proved the secret."""

from __future__ import annotations

import hmac
import secrets
import socket

from tornado import iostream

from rpc.tracking.exposure import is_loopback
from rpc.tracking.frames import CODE, LENGTH, MOST_FRAME, Direction, frame_length
from rpc.tracking.shared_secret import MOST_HELLO, NONCE, PROOF, SECURE_MAGIC, TRACKER_HELLO, agree, end_name
from rpc.tracking.tracker_protocol import MAGIC, ProtocolError, checked_length, integer, number


class CalledChannel:
    """Reads and writes bytes, as they are or in frames."""

    def __init__(self, stream: iostream.IOStream) -> None:
        self._stream = stream
        self._inward: Direction | None = None
        self._outward: Direction | None = None
        self._rest = b""

    async def greet(self, secret: bytes) -> None:
        """Take a caller in.

        Parameters
        ----------
        secret
            That it has to know; empty to speak as TVM's trackers do.

        Raises
        ------
        ProtocolError
            If it does not.
        """
        magic = number(await self._stream.read_bytes(4))
        if not secret and magic == MAGIC:
            self._stream.write(integer(MAGIC))
        elif secret and magic == SECURE_MAGIC:
            await self._challenge(secret)
        elif magic in (MAGIC, SECURE_MAGIC):
            raise ProtocolError(
                "it knows no secret, as is asked here" if secret else "it asks for a secret; here is none"
            )
        else:
            raise ProtocolError(f"{magic:#x} is not a tracker's magic number")

    async def _challenge(self, secret: bytes) -> None:
        length = checked_length(await self._stream.read_bytes(4), MOST_HELLO)
        hello = (await self._stream.read_bytes(length)).decode("ascii")
        if not _is_for_us(hello, self._stream.socket):
            raise ProtocolError("it says hello to somebody else")
        nonce = secrets.token_bytes(NONCE)
        agreed = agree(secret, hello, nonce)
        self._stream.write(integer(SECURE_MAGIC) + nonce + agreed.called)
        if not hmac.compare_digest(await self._stream.read_bytes(PROOF), agreed.caller):
            raise ProtocolError("it does not know the secret")
        self._inward, self._outward = Direction(agreed.to_called), Direction(agreed.to_caller)

    async def receive(self, count: int) -> bytes:
        """Return so many bytes."""
        if self._inward is None:
            return await self._stream.read_bytes(count)
        while len(self._rest) < count:
            length = frame_length(await self._stream.read_bytes(LENGTH.size))
            content = await self._stream.read_bytes(length)
            self._rest += self._inward.opened(content, await self._stream.read_bytes(CODE))
        found, self._rest = self._rest[:count], self._rest[count:]
        return found

    def send(self, data: bytes) -> None:
        """Send all of it.

        That is not awaited: who does not read must not hold up others, and is dropped when too much waits for them.
        """
        if self._stream.closed():
            return
        if self._outward is None:
            self._stream.write(data)
            return
        for start in range(0, len(data), MOST_FRAME):
            self._stream.write(self._outward.sealed(data[start : start + MOST_FRAME]))


def _is_for_us(hello: str, connection: socket.socket) -> bool:
    """Whether a caller means this tracker, and sees itself where we see it.

    A tunnel's ends are loopbacks, and its ports its own: what was dialled there is not compared. Frames are what keeps
    whoever is in between from saying anything.
    """
    wanted, *words = hello.split(" ")
    options = dict(word.partition("=")[::2] for word in words)
    if wanted != TRACKER_HELLO or not set(options) >= {"-nonce", "-from", "-to"} or len(options["-nonce"]) != 2 * NONCE:
        return False
    if is_loopback(options["-to"].rpartition(":")[0]) and is_loopback(connection.getpeername()[0]):
        return True
    ends = end_name(connection.getpeername()), end_name(connection.getsockname())
    return (options["-from"], options["-to"]) == ends
