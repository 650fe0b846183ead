"""What travels between a tracker, its servers and its clients: TVM's protocol, with limits.

A connection begins with an int32, the magic number, which the tracker echoes. Then come messages in both directions,
each an int32 with a length and so many bytes of JSON. Integers are little-endian.
"""

from __future__ import annotations

import enum
import struct

import msgspec

MAGIC = 0x2F271
DEFAULT_PORT = 9190
#: Bytes of a message to the tracker; a server's introduction, the longest, has a few thousand.
MOST_MESSAGE = 1 << 16
#: Bytes of an answer; a summary of a thousand devices has a few million.
MOST_ANSWER = 1 << 24
_INTEGER = struct.Struct("<i")


class Code(enum.IntEnum):
    """The first item of a message."""

    FAIL = -1
    SUCCESS = 0
    PING = 1
    STOP = 2
    PUT = 3
    REQUEST = 4
    UPDATE_INFO = 5
    SUMMARY = 6
    PENDING_MATCH_KEYS = 7


class ProtocolError(ValueError):
    """The other side sent something that is none of this."""


def integer(value: int) -> bytes:
    """Return an int32 as it is sent."""
    return _INTEGER.pack(value)


def message(value: object) -> bytes:
    """Return a message as it is sent."""
    text = msgspec.json.encode(value)
    return integer(len(text)) + text


def number(data: bytes) -> int:
    """Return the int32 in four bytes."""
    return int(_INTEGER.unpack(data)[0])


def checked_length(data: bytes, most: int = MOST_MESSAGE) -> int:
    """Return the length that announces a message.

    Raises
    ------
    ProtocolError
        If it is none, or beyond the limit.
    """
    length = number(data)
    if not 0 < length <= most:
        raise ProtocolError(f"a message of {length} bytes; from 1 to {most} are possible")
    return length
