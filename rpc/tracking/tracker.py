"""The tracker: knows which devices are free and hands them out.

It speaks the protocol of TVM's tracker, to TVM's servers and clients as well as to ours, or, with a secret, the same
in frames, to those who know it. It takes nothing on trust: messages are limited in length and time and checked in type,
and whoever sends another one is disconnected. Connections take turns, and each has its allowance.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import Any

import msgspec
from tornado import ioloop, iostream, tcpserver

from rpc.formats.printing import printable
from rpc.tracking.allowance import Allowance
from rpc.tracking.called_channel import CalledChannel
from rpc.tracking.introduction import Introduction, Port, introduction, name
from rpc.tracking.lab_secret import WITHOUT
from rpc.tracking.scheduler import Offer, Scheduler
from rpc.tracking.tracker_protocol import MOST_ANSWER, MOST_MESSAGE, Code, ProtocolError, checked_length, message
from schedules.errors import UserError

MOST_CONNECTIONS = 4096
#: Of those, how many may not have said who they are; one more, and the oldest of them goes.
MOST_STRANGERS = 256
BACKLOG = 1024
#: Somebody who connects has to say something within this, and to finish what they began to say.
PATIENCE_SECONDS = 5.0
#: Connections that neither serve nor wait for a device may be silent so long.
IDLE_SECONDS = 60.0
MOST_PRIORITY = 1000
#: Requests of one connection that wait; TVM's and our clients have one.
MOST_PENDING = 16
#: Of one connection, a second, and what it may have saved up. A server sends a message a second, a client two in all.
MESSAGES, MOST_MESSAGES = 50.0, 100.0
BYTES, MOST_BYTES = 65536.0, 4.0 * MOST_MESSAGE
ANSWERED_BYTES, MOST_ANSWERED_BYTES = 1 << 20, float(MOST_ANSWER)
#: Of those who were disconnected, a second: a terminal is for people.
LINES, MOST_LINES = 5.0, 50.0


class Tracker(tcpserver.TCPServer):
    """Serves connections until its loop ends."""

    def __init__(self, secret: bytes = b"") -> None:
        """Serve everybody, or, with a secret, those who know it."""
        super().__init__(max_buffer_size=2 * MOST_MESSAGE, read_chunk_size=MOST_MESSAGE)
        self.scheduler = Scheduler()
        self.secret = secret
        self._lines = Allowance(LINES, MOST_LINES)
        self._connections: set[_Connection] = set()
        self._strangers: dict[_Connection, None] = {}  # in the order in which they came

    async def handle_stream(self, stream: iostream.IOStream, address: tuple[Any, ...]) -> None:
        """Serve one connection to its end."""
        if len(self._connections) >= MOST_CONNECTIONS:
            stream.close()
            return
        stream.max_write_buffer_size = MOST_ANSWER
        connection = _Connection(self, stream, str(address[0]))
        self._connections.add(connection)
        self._strangers[connection] = None
        if len(self._strangers) > MOST_STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.leave()
        try:
            await connection.greet()
            self._strangers.pop(connection, None)
            await connection.serve()
        except (iostream.StreamClosedError, iostream.StreamBufferFullError, TimeoutError):
            pass
        # Integers of thousands of digits are ValueErrors; brackets in brackets without end are RecursionErrors.
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            self._say(f"tracker: {connection.address} is disconnected: {printable(str(error))}")
        finally:
            self._strangers.pop(connection, None)
            self._connections.discard(connection)
            self.scheduler.forget(connection)
            stream.close()

    def _say(self, line: str) -> None:
        """Print a line, unless too many were lately."""
        if self._lines.spend(0, time.monotonic()) == 0:
            self._lines.spend(1, time.monotonic())
            print(line, file=sys.stderr)

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
        self._channel = CalledChannel(stream)
        self._pending = 0
        self._messages = Allowance(MESSAGES, MOST_MESSAGES)
        self._bytes = Allowance(BYTES, MOST_BYTES)
        self._answered = Allowance(ANSWERED_BYTES, MOST_ANSWERED_BYTES)

    async def greet(self) -> None:
        """Hear who it is."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._channel.greet(self._tracker.secret)

    def leave(self) -> None:
        """End the connection; what waits for it ends by that."""
        self._stream.close()

    async def serve(self) -> None:
        while True:
            settled = self._pending > 0 or self.introduction is not None
            async with asyncio.timeout(None if settled else IDLE_SECONDS):
                length = checked_length(await self._channel.receive(4))
            async with asyncio.timeout(PATIENCE_SECONDS):
                body = await self._channel.receive(length)
            # Before the answer: even if there is no wait, all others have a turn.
            await asyncio.sleep(self._wait(length))
            self._answer(msgspec.json.decode(body, type=list[Any]))

    def _wait(self, length: int) -> float:
        """Return for how many seconds a message of so many bytes has to wait."""
        now = time.monotonic()
        return max(self._messages.spend(1, now), self._bytes.spend(length, now), self._answered.spend(0, now))

    def _send(self, data: bytes) -> None:
        self._answered.spend(len(data), time.monotonic())
        self._channel.send(data)

    def _answer(self, request: list[Any]) -> None:
        match request:
            case [Code.PING]:
                self._send(message(Code.SUCCESS))
            case [Code.PUT, key, [port, match_key], *address]:
                self._put(key, port, match_key, *address)
            case [Code.REQUEST, key, _user, priority]:
                self._request(name(key), msgspec.convert(priority, int))
            case [Code.UPDATE_INFO, said]:
                self.introduction = introduction(said)
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
        at = self.address if address is None else name(address)
        offer = Offer(self, name(key), at, msgspec.convert(port, Port), name(match_key))
        self._tracker.scheduler.refuse_duplicate(offer)
        # First the answer: the server must not take a client's arrival for it.
        self._send(message(Code.SUCCESS))
        self._tracker.scheduler.put(offer)

    def _request(self, key: str, priority: int) -> None:
        if self._pending >= MOST_PENDING:
            raise ProtocolError(f"more than {MOST_PENDING} requests that wait")
        self._pending += 1
        limited = max(-MOST_PRIORITY, min(MOST_PRIORITY, priority))
        self._tracker.scheduler.request(key, limited, self, self._take)

    def _take(self, offer: Offer) -> bool:
        if self._stream.closed():
            return False
        self._pending -= 1
        self._send(message([Code.SUCCESS, [offer.address, offer.port, offer.match_key]]))
        return True


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


def run_tracker(host: str, port: int, secret: bytes = b"") -> None:
    """Run a tracker for good, with a secret for those who know it alone; it says on stderr where it listens."""
    listener = listening_socket(host, port)
    print(f"tracker: listening on {host}:{listener.getsockname()[1]}", file=sys.stderr, flush=True)

    if not secret:
        print(f"tracker: --no-secret: {WITHOUT}", file=sys.stderr, flush=True)

    async def serve() -> None:
        Tracker(secret).add_socket(listener)
        await asyncio.Event().wait()

    ioloop.IOLoop.current().run_sync(serve)
