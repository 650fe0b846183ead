"""Messages that nobody in between can change, repeat, leave out or add to: each carries a code over number and content.

A frame is a uint32 length, so many bytes, and HMAC-SHA-256 of the frame's number (uint64), length and content, all
little-endian. The servers' half is ``board/server/frames.c``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import struct

from rpc.tracking.tracker_protocol import ProtocolError

MOST_FRAME = 1 << 16
CODE = 32
LENGTH = struct.Struct("<I")


@dataclasses.dataclass
class Direction:
    """One direction of a connection: its key, and how many frames have gone that way."""

    key: bytes
    frames: int = 0

    def sealed(self, content: bytes) -> bytes:
        """Return the next frame as it is sent."""
        return LENGTH.pack(len(content)) + content + self._next_code(content)

    def opened(self, content: bytes, code: bytes) -> bytes:
        """Return the content of the next frame that was received.

        Raises
        ------
        ProtocolError
            If it is not the one that was sent.
        """
        if not hmac.compare_digest(self._next_code(content), code):
            raise ProtocolError("a message that was changed on its way")
        return content

    def _next_code(self, content: bytes) -> bytes:
        number = struct.pack("<QI", self.frames, len(content))
        self.frames += 1
        return hmac.new(self.key, number + content, hashlib.sha256).digest()


def frame_length(header: bytes) -> int:
    """Return the length that announces a frame.

    Raises
    ------
    ProtocolError
        If it is none.
    """
    length = int(LENGTH.unpack(header)[0])
    if not 0 < length <= MOST_FRAME:
        raise ProtocolError(f"a frame of {length} bytes; from 1 to {MOST_FRAME} are possible")
    return length
