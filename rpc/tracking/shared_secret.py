"""The secret of a lab, and what both ends of a connection prove with it, without sending it.

Whoever connects says hello: a text with what it wants, 32 random bytes, and both ends' addresses as it sees them. The
other end answers with 32 random bytes of its own. The secret's code (HMAC-SHA-256) of both is a key that only those two
know; codes under it are the proofs, and the keys of everything that follows (:mod:`rpc.tracking.channel`). The servers'
half is ``board/server/secret.c``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import secrets
import socket
import struct
from pathlib import Path

from schedules.errors import UserError

#: What connections begin with on which both ends prove that they know the secret.
SECURE_MAGIC = 0x314E4254
#: What a server says to a client that meant another address.
ELSEWHERE = SECURE_MAGIC + 1
#: Bytes.
NONCE, PROOF = 32, 32
#: A server reads no more of a file, and takes a longer secret for a mistake.
MOST_SECRET = 256
MOST_HELLO = 1024
TRACKER_HELLO = "lab:tracker"
_WHAT = b"tvm_bnn lab 1\0"
_MAPPED = "::ffff:"


@dataclasses.dataclass(frozen=True)
class Agreement:
    """What both ends of one connection know: their proofs, and the keys of both directions, 32 bytes each."""

    called: bytes
    caller: bytes
    to_called: bytes
    to_caller: bytes


def read_secret(path: Path | None) -> bytes:
    """Return the secret in a file, white space at its end left out; empty without a file.

    Raises
    ------
    UserError
        If the file cannot be read, or is empty or too long.
    """
    if path is None:
        return b""
    try:
        with path.open("rb") as file:
            secret = file.read(MOST_SECRET + 1)
    except OSError as error:
        raise UserError(f"secret '{path}': cannot be read ({error.strerror})") from None
    if len(secret) > MOST_SECRET:
        raise UserError(f"secret '{path}': the file has more than {MOST_SECRET} bytes")
    if not secret.rstrip():
        raise UserError(f"secret '{path}': the file is empty")
    return secret.rstrip()


def agree(secret: bytes, hello: str, nonce: bytes) -> Agreement:
    """Return what both ends know after a hello and the nonce that answered it."""
    said = hello.encode()
    key = _code(secret, _WHAT + struct.pack("<I", len(said)) + said + nonce)
    return Agreement(*(_code(key, purpose) for purpose in (b"called", b"caller", b"to called", b"to caller")))


def hello_text(connection: socket.socket, wanted: str, **more: str) -> str:
    """Return what a caller says first: what it wants, a nonce, both ends as it sees them, and more."""
    words = {
        "nonce": secrets.token_hex(NONCE),
        "from": end_name(connection.getsockname()),
        "to": end_name(connection.getpeername()),
        **more,
    }
    return " ".join([wanted, *(f"-{name}={value}" for name, value in words.items())])


def end_name(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Return ``IP:PORT`` of an end of a connection; an IPv4 address in IPv6's form becomes itself."""
    return f"{address[0].removeprefix(_MAPPED)}:{address[1]}"


def _code(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()
