"""The tracker: knows which devices are free and hands them out.

It speaks the protocol of TVM's tracker, to TVM's servers and clients as well as to ours, and takes nothing on trust:
messages are limited in length and time and checked in type, and whoever sends another one is disconnected.
"""

from __future__ import annotations

import asyncio
import datetime
import socket
import sys
from typing import Any

import msgspec
from tornado import gen, ioloop, iostream, tcpserver

from rpc.tracking.scheduler import Offer, Scheduler
from rpc.tracking.tracker_protocol import (
    MAGIC,
    MOST_ANSWER,
    MOST_MESSAGE,
    Code,
    ProtocolError,
    checked_length,
    integer,
    message,
    number,
)
from schedules.errors import UserError

MOST_CONNECTIONS = 4096
BACKLOG = 1024
#: Somebody who connects has to say something within this, and to finish what they began to say.
PATIENCE = datetime.timedelta(seconds=5)
#: Connections that neither serve nor wait for a device may be silent so long.
IDLE = datetime.timedelta(seconds=60)
MOST_PRIORITY = 1000
_MOST_NAME = 128


class Introduction(msgspec.Struct):
    """What a server says about itself; TVM's own have no facts."""

    key: str
    addr: tuple[str | None, int]
    facts: dict[str, str | int | float | bool] = {}


class Tracker(tcpserver.TCPServer):
    """Serves connections until its loop ends."""

    def __init__(self) -> None:
        super().__init__(max_buffer_size=2 * MOST_MESSAGE, read_chunk_size=MOST_MESSAGE)
        self.scheduler = Scheduler()
        self._connections: set[_Connection] = set()

    async def handle_stream(self, stream: iostream.IOStream, address: tuple[Any, ...]) -> None:
        """Serve one connection to its end."""
        if len(self._connections) >= MOST_CONNECTIONS:
            stream.close()
            return
        stream.max_write_buffer_size = MOST_ANSWER
        connection = _Connection(self, stream, str(address[0]))
        self._connections.add(connection)
        try:
            await connection.serve()
        except (iostream.StreamClosedError, iostream.StreamBufferFullError, TimeoutError):
            pass
        except (ProtocolError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            print(f"tracker: {connection.address} is disconnected: {error}", file=sys.stderr)
        finally:
            self._connections.discard(connection)
            self.scheduler.forget(connection)
            stream.close()

    def summary(self) -> dict[str, object]:
        """Return queues and servers as TVM's clients know them; of our servers, facts and whether they are free too."""
        servers = [
            {
                "key": known.introduction.key,
                "addr": [known.introduction.addr[0] or known.address, known.introduction.addr[1]],
                "facts": known.introduction.facts,
                "free": bool(self.scheduler.match_keys(known)),
            }
            for known in self._connections
            if known.introduction is not None
        ]
        return {"queue_info": self.scheduler.queues(), "server_info": servers}


class _Connection:
    """One server or client."""

    def __init__(self, tracker: Tracker, stream: iostream.IOStream, address: str) -> None:
        self.introduction: Introduction | None = None
        self.address = address
        self._tracker = tracker
        self._stream = stream
        self._waits = False

    async def serve(self) -> None:
        magic = number(await gen.with_timeout(PATIENCE, self._stream.read_bytes(4)))
        if magic != MAGIC:
            raise ProtocolError(f"{magic:#x} is not a tracker's magic number")
        self._send(integer(MAGIC))
        while True:
            settled = self._waits or self.introduction is not None
            header = self._stream.read_bytes(4)
            length = checked_length(await header if settled else await gen.with_timeout(IDLE, header))
            body = await gen.with_timeout(PATIENCE, self._stream.read_bytes(length))
            self._answer(msgspec.json.decode(body, type=list[Any]))

    def _send(self, data: bytes) -> None:
        # Not awaited: who does not read must not hold up others, and is dropped when too much waits for them.
        if not self._stream.closed():
            self._stream.write(data)

    def _answer(self, request: list[Any]) -> None:
        match request:
            case [Code.PING]:
                self._send(message(Code.SUCCESS))
            case [Code.PUT, key, [port, match_key], *address]:
                self._put(key, port, match_key, *address)
            case [Code.REQUEST, key, _user, priority]:
                self._request(_name(key), msgspec.convert(priority, int))
            case [Code.UPDATE_INFO, introduction]:
                self.introduction = msgspec.convert(introduction, Introduction)
                self._send(message(Code.SUCCESS))
            case [Code.SUMMARY]:
                self._send(message([Code.SUCCESS, self._tracker.summary()]))
            case [Code.PENDING_MATCH_KEYS]:
                self._send(message(self._tracker.scheduler.match_keys(self)))
            case [Code.STOP, *_]:
                self._send(message(Code.FAIL))
            case _:
                raise ProtocolError("that is no request that a tracker answers")

    def _put(self, key: object, port: object, match_key: object, address: object = None, *_more: object) -> None:
        at = self.address if address is None else _name(address)
        offer = Offer(self, _name(key), at, msgspec.convert(port, int), _name(match_key))
        # First the answer: the server must not take a client's arrival for it.
        self._send(message(Code.SUCCESS))
        self._tracker.scheduler.put(offer)

    def _request(self, key: str, priority: int) -> None:
        self._waits = True
        limited = max(-MOST_PRIORITY, min(MOST_PRIORITY, priority))
        self._tracker.scheduler.request(key, limited, self, self._take)

    def _take(self, offer: Offer) -> bool:
        if self._stream.closed():
            return False
        self._send(message([Code.SUCCESS, [offer.address, offer.port, offer.match_key]]))
        return True


def _name(value: object) -> str:
    text = msgspec.convert(value, str)
    if not 0 < len(text) <= _MOST_NAME:
        raise ProtocolError(f"a name of {len(text)} characters; from 1 to {_MOST_NAME} are possible")
    return text


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind a tracker's address.

    Raises
    ------
    UserError
        If that is impossible.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise UserError(
            f"tracker: {host}:{port} cannot be listened on ({error.strerror}); choose another --port"
        ) from None
    listener.setblocking(False)
    return listener


def run_tracker(host: str, port: int) -> None:
    """Run a tracker for good; it says on stderr where it listens."""
    listener = listening_socket(host, port)
    print(f"tracker: listening on {host}:{listener.getsockname()[1]}", file=sys.stderr, flush=True)

    async def serve() -> None:
        Tracker().add_socket(listener)
        await asyncio.Event().wait()

    ioloop.IOLoop.current().run_sync(serve)
