"""Talk to a tracker: which devices there are, and give me one."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import msgspec

from rpc.formats.board_facts import BoardFacts
from rpc.tracking.tracker_protocol import (
    DEFAULT_PORT,
    MAGIC,
    MOST_ANSWER,
    Code,
    checked_length,
    integer,
    message,
    number,
)
from rpc.tracking.wire import receive
from schedules.errors import UserError

ANSWER_SECONDS = 10.0
_KIND = "server:"


class Address(msgspec.Struct, frozen=True):
    """Where somebody listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``."""
        return f"{self.host}:{self.port}"


class Device(msgspec.Struct, frozen=True):
    """A device that a tracker knows; ``free`` is None where the tracker, TVM's own, does not say."""

    key: str
    address: Address
    facts: BoardFacts
    free: bool | None


class Queue(msgspec.Struct, frozen=True):
    """How many devices of a key are free, and how many clients wait for one."""

    free: int
    pending: int


class Summary(msgspec.Struct, frozen=True):
    """What a tracker knows."""

    devices: tuple[Device, ...]
    queues: dict[str, Queue]


class Grant(msgspec.Struct, frozen=True):
    """A device that is ours if we connect soon; empty facts are those of a server that is not ours."""

    key: str
    address: Address
    match_key: str
    facts: BoardFacts = BoardFacts()


class _ServerInfo(msgspec.Struct):
    key: str
    addr: tuple[str | None, int]
    facts: BoardFacts = BoardFacts()
    free: bool | None = None


class _SummaryAnswer(msgspec.Struct):
    queue_info: dict[str, Queue]
    server_info: list[_ServerInfo]


def parse_address(text: str) -> Address:
    """Return the address that ``HOST:PORT``, or ``HOST`` with a tracker's usual port, names.

    Raises
    ------
    UserError
        If it names none.
    """
    host, _, port = text.rpartition(":") if ":" in text else (text, "", str(DEFAULT_PORT))
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UserError(f"address '{text}'; expected HOST:PORT, for example 127.0.0.1:{DEFAULT_PORT}")
    return Address(host.strip("[]"), int(port))


def summary(tracker: Address) -> Summary:
    """Return what a tracker knows.

    Raises
    ------
    UserError
        If there is no tracker.
    """
    with _connected(tracker) as connection:
        connection.sendall(message([Code.SUMMARY]))
        found = msgspec.convert(_receive(connection)[1], _SummaryAnswer)
    devices = [
        Device(info.key.removeprefix(_KIND), Address(info.addr[0] or tracker.host, info.addr[1]), info.facts, info.free)
        for info in found.server_info
        if info.key.startswith(_KIND)
    ]
    return Summary(tuple(sorted(devices, key=lambda device: (device.key, str(device.address)))), found.queue_info)


def request(tracker: Address, key: str, wait_seconds: float, priority: int = 1) -> Grant:
    """Wait for a free device.

    Raises
    ------
    UserError
        If no device has that key, or none gets free in time.
    """
    known = summary(tracker)
    keys = sorted({device.key for device in known.devices})
    if key not in keys:
        there = f"it knows {', '.join(keys)}" if keys else "it knows none"
        raise UserError(f"key '{key}': the tracker {tracker} has no such device; {there}")
    with _connected(tracker) as connection:
        connection.sendall(message([Code.REQUEST, key, "", priority]))
        connection.settimeout(wait_seconds)
        try:
            answer = _receive(connection)
        except TimeoutError:
            raise UserError(f"key '{key}': no device became free within {wait_seconds:g} s; --wait is longer") from None
    address, port, match_key = msgspec.convert(answer[1], tuple[str, int, str])
    granted = Address(address, port)
    return Grant(key, granted, match_key, _facts_of(tracker, key, granted))


def _facts_of(tracker: Address, key: str, address: Address) -> BoardFacts:
    """Return what a device that was granted says of itself; it may be newer than a summary from before."""
    devices = [
        device for device in summary(tracker).devices if device.key == key and device.address.port == address.port
    ]
    # Of those behind one port, on several hosts, the first has the right name or is as good as it.
    devices.sort(key=lambda device: device.address != address)
    return devices[0].facts if devices else BoardFacts()


@contextlib.contextmanager
def _connected(tracker: Address) -> Iterator[socket.socket]:
    try:
        with socket.create_connection((tracker.host, tracker.port), ANSWER_SECONDS) as connection:
            connection.sendall(integer(MAGIC))
            if number(receive(connection, 4)) != MAGIC:
                raise UserError(f"tracker {tracker}: something else listens there")
            yield connection
    except TimeoutError:
        raise UserError(f"tracker {tracker} does not answer") from None
    except OSError as error:
        raise UserError(
            f"tracker {tracker} cannot be reached ({error.strerror or error}); start one with 'python -m rpc tracker'"
        ) from None
    except (ValueError, msgspec.MsgspecError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"tracker {tracker}: what it says is no tracker's answer ({error})") from None


def _receive(connection: socket.socket) -> list[Any]:
    length = checked_length(receive(connection, 4), MOST_ANSWER)
    answer = msgspec.json.decode(receive(connection, length), type=list[Any])
    if answer[:1] != [Code.SUCCESS]:
        raise ValueError(f"{answer!r:.80}")
    return answer
