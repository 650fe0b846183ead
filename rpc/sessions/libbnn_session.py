"""A session on a device without TVM: the same questions, in messages of our own (``board/server/libbnn/calls.c``)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

import msgspec
import numpy as np

from rpc.formats.board_facts import BoardFacts
from rpc.formats.tensor_file import Array
from rpc.sessions.session import OURS, Board, LoadedModel, asking
from rpc.tracking.shared_secret import greeting
from rpc.tracking.tracker_client import Grant
from rpc.tracking.wire import receive

_MAGIC = 0xFF271
_MOST_ANSWER = 1 << 30
_CONNECT_SECONDS = 10.0
#: After a session's time is up, the device says so; after so much longer it is not there any more.
_GRACE_SECONDS = 30.0
_KINDS = {0: "int", 1: "uint", 2: "float", 6: "bool"}


class LibbnnBoard(Board):
    """An open session; close it, or use it in a ``with`` statement."""

    def __init__(self, grant: Grant, seconds: float, secret: bytes = b"") -> None:
        """Connect, as :class:`Board` does.

        Raises
        ------
        UserError
            If the device turns us away.
        """
        self.key = grant.key
        with asking(grant.key, "connecting"):
            self._connection = _connected(grant, seconds, secret)
        self.facts = msgspec.json.decode(self._text("facts"), type=BoardFacts)

    def close(self) -> None:
        """Free the device."""
        self._connection.close()

    def _ask(self, name: str, *arguments: object) -> int | str | None:
        """Call one of the server's functions; bytes that it returns are a text."""
        answer = self.ask(OURS + name, *arguments)
        return answer.decode() if isinstance(answer, bytes) else answer

    def _text(self, name: str, *arguments: object) -> str:
        return str(self._ask(name, *arguments))

    def ask(self, name: str, *arguments: object) -> int | bytes | None:
        """Call a function of the server."""
        with asking(self.key, f"asking for '{name.rpartition('.')[2]}'"):
            return _call(self._connection, name, arguments)

    def load(self, name: str, library: bytes, profiled: bool = False) -> LoadedModel:
        """Upload a deployed model and load it, as :meth:`Board.load` does."""
        with asking(self.key, "uploading"):
            _call(self._connection, "tvm.rpc.server.upload", (name, library))
        with asking(self.key, "loading the model"):
            number = _call(self._connection, "tvm.rpc.server.load_module", (name,))
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
        lines = self._board._text("outputs", self._machine).splitlines()
        return [self._output(index, *map(int, line.split())) for index, line in enumerate(lines)]

    def _output(self, index: int, kind: int, bits: int, *shape: int) -> Array:
        dtype = np.dtype(_KINDS[kind] + (str(bits) if _KINDS[kind] != "bool" else ""))
        data = self._board.ask(f"{OURS}output", self._machine, index)
        return np.frombuffer(data if isinstance(data, bytes) else b"", dtype).reshape(shape)


def _connected(grant: Grant, seconds: float, secret: bytes) -> socket.socket:
    """Return a connection whose other end has greeted us."""
    connection = socket.create_connection((grant.address.host, grant.address.port), _CONNECT_SECONDS)
    try:
        said = f"{greeting(grant.match_key, secret)} -timeout={seconds:g}".encode()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(struct.pack("<ii", _MAGIC, len(said)) + said)
        (magic,) = struct.unpack("<i", receive(connection, 4))
        if magic != _MAGIC:
            raise ConnectionRefusedError("the server expects another client")
        receive(connection, _length(connection))
        connection.settimeout(seconds + _GRACE_SECONDS if seconds else None)
    except BaseException:
        connection.close()
        raise
    return connection


def _call(connection: socket.socket, name: str, arguments: Sequence[object]) -> int | bytes | None:
    """Call a function; an error there is a RuntimeError, a connection that broke an OSError."""
    items = b"".join(map(_item, (name, *arguments)))
    connection.sendall(struct.pack("<I", len(items)) + items)
    answer = receive(connection, _length(connection))
    kind, content = answer[:1], answer[1:]
    if kind == b"e":
        raise RuntimeError(content.decode(errors="replace"))
    if kind == b"i":
        return int(struct.unpack("<q", content)[0])
    return content if kind == b"b" else None


def _item(value: object) -> bytes:
    if isinstance(value, int):
        return b"i" + struct.pack("<q", value)
    data = value.encode() if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]
    return b"b" + struct.pack("<I", len(data)) + data


def _length(connection: socket.socket) -> int:
    (length,) = struct.unpack("<I", receive(connection, 4))
    if length > _MOST_ANSWER:
        raise ConnectionAbortedError("the server sends what is no answer")
    return int(length)
