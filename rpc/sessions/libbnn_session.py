"""A session on a device without TVM: the same questions, in messages of our own (``board/server/libbnn/calls.c``)."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import msgspec
import numpy as np

from rpc.formats.board_facts import BoardFacts, cleaned
from rpc.formats.tensor_file import Array
from rpc.sessions.session import OURS, Board, LoadedModel, asking
from rpc.sessions.tvm_values import dtype_of
from rpc.tracking.channel import Channel, StrangerError

_MOST_ANSWER = 1 << 30
_NUMBER = struct.Struct("<q")
#: Of the line that describes an output.
_LEAST_WORDS, _MOST_DIGITS = 2, 18


class LibbnnBoard(Board):
    """An open session; close it, or use it in a ``with`` statement."""

    def _begin(self, channel: Channel) -> BoardFacts:
        self._channel = channel
        return cleaned(msgspec.json.decode(str(self._called("facts")), type=BoardFacts))

    def close(self) -> None:
        """Free the device."""
        self._channel.close()

    def _called(self, name: str, *arguments: object) -> int | str | None:
        """Call one of the server's functions; bytes that it returns are a text."""
        answer = _call(self._channel, OURS + name, arguments)
        return answer.decode(errors="replace") if isinstance(answer, bytes) else answer

    def ask(self, name: str, *arguments: object) -> int | bytes | None:
        """Call a function of the server."""
        with asking(self.key, f"asking for '{name.rpartition('.')[2]}'"):
            return _call(self._channel, name, arguments)

    def load(self, name: str, library: bytes, profiled: bool = False) -> LoadedModel:
        """Upload a deployed model and load it, as :meth:`Board.load` does."""
        with asking(self.key, "uploading"):
            _call(self._channel, "tvm.rpc.server.upload", (name, library))
        with asking(self.key, "loading the model"):
            number = _call(self._channel, "tvm.rpc.server.load_module", (name,))
        if profiled:
            self._ask("instrument", name)
        return LibbnnModel(self, number)


class LibbnnModel(LoadedModel):
    """A deployed model on a device."""

    _board: LibbnnBoard

    def set_inputs(self, inputs: Sequence[Array]) -> None:
        """Send the inputs that the following calls run on."""
        for index, value in enumerate(inputs):
            self._board._ask("input", self._machine, index, np.ascontiguousarray(value).tobytes())

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run once and return the outputs."""
        self.set_inputs(inputs)
        self._board._ask("run", self._machine)
        with asking(self._board.key, "running the model"):
            lines = str(self._board._called("outputs", self._machine)).splitlines()
            return [self._output(index, line) for index, line in enumerate(lines)]

    def _output(self, index: int, line: str) -> Array:
        """Return an output; the line says its kind, bits and shape."""
        words = line.split()
        if len(words) < _LEAST_WORDS or not all(word.isdecimal() and len(word) <= _MOST_DIGITS for word in words):
            raise StrangerError("it describes what is no output")
        kind, bits, *shape = map(int, words)
        dtype, data = dtype_of(kind, bits), self._board.ask(f"{OURS}output", self._machine, index)
        if not isinstance(data, bytes) or len(data) != math.prod(shape) * dtype.itemsize:
            raise StrangerError("it sends what is no output of that shape")
        return np.frombuffer(data, dtype).reshape(shape)


def _call(channel: Channel, name: str, arguments: Sequence[object]) -> int | bytes | None:
    """Call a function; an error there is a RuntimeError, a connection that broke an OSError."""
    items = b"".join(map(_item, (name, *arguments)))
    channel.send(struct.pack("<I", len(items)) + items)
    answer = channel.receive(_length(channel))
    kind, content = answer[:1], answer[1:]
    if kind == b"e":
        raise RuntimeError(content.decode(errors="replace"))
    if kind == b"i" and len(content) == _NUMBER.size:
        return int(_NUMBER.unpack(content)[0])
    if kind not in (b"b", b"n"):
        raise StrangerError("it sends what is no answer")
    return content if kind == b"b" else None


def _item(value: object) -> bytes:
    if isinstance(value, int):
        return b"i" + struct.pack("<q", value)
    data = value.encode() if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]
    return b"b" + struct.pack("<I", len(data)) + data


def _length(channel: Channel) -> int:
    (length,) = struct.unpack("<I", channel.receive(4))
    if not 0 < length <= _MOST_ANSWER:
        raise StrangerError(f"it sends an answer of {length} bytes")
    return int(length)
