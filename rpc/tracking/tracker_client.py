"""Talk to a tracker: which devices there are, and give me one."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import msgspec

from rpc.formats.board_facts import BoardFacts, cleaned
from rpc.formats.printing import printable
from rpc.tracking.channel import Channel, StrangerError, secure_channel
from rpc.tracking.introduction import Port
from rpc.tracking.shared_secret import TRACKER_HELLO, hello_text
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
from schedules.errors import UserError

ANSWER_SECONDS = 10.0
_KIND = "server:"
#: Characters of a name that is not believed.
_MOST_SHOWN = 40


class Address(msgspec.Struct, frozen=True):
    """Where somebody listens."""

    host: str
    port: Port

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
    """What a tracker knows; ``skipped`` has a line for each device whose introduction is none."""

    devices: tuple[Device, ...]
    queues: dict[str, Queue]
    skipped: tuple[str, ...] = ()


class Grant(msgspec.Struct, frozen=True):
    """A device that is ours if we connect soon; empty facts are those of a server that is not ours."""

    key: str
    address: Address
    match_key: str
    facts: BoardFacts = BoardFacts()


class _ServerInfo(msgspec.Struct):
    key: str
    addr: tuple[str | None, Port]
    facts: BoardFacts = BoardFacts()
    free: bool | None = None


class _SummaryAnswer(msgspec.Struct):
    queue_info: dict[str, Any]
    server_info: list[Any]


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


def summary(tracker: Address, secret: bytes = b"") -> Summary:
    """Return what a tracker knows; devices whose introduction is none are left out, and said.

    Parameters
    ----------
    tracker
        Where it listens.
    secret
        Which it has to know, too; empty to speak as TVM's clients do.

    Raises
    ------
    UserError
        If there is no tracker, or another's.
    """
    with _connected(tracker, secret) as channel:
        channel.send(message([Code.SUMMARY]))
        found = msgspec.convert(_receive(channel)[1:2], tuple[_SummaryAnswer])[0]
    devices, skipped = [], []
    for info in found.server_info:
        device, reason = _device(info, tracker)
        if device is not None:
            devices.append(device)
        elif reason:
            skipped.append(f"tracker {tracker}: a device is skipped: {reason}")
    queues = {key: _queue(value) for key, value in found.queue_info.items() if key.isprintable()}
    ordered = sorted(devices, key=lambda device: (device.key, str(device.address)))
    return Summary(tuple(ordered), queues, tuple(skipped))


def _device(info: object, tracker: Address) -> tuple[Device | None, str]:
    """Return a device, or why what is said is none; neither for what is not a server."""
    named = info.get("key") if isinstance(info, dict) else None
    shown = printable(str(named), _MOST_SHOWN)
    try:
        said = msgspec.convert(info, _ServerInfo)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return None, f"'{shown}' introduces itself wrongly ({printable(str(error))})"
    if not said.key.startswith(_KIND):
        return None, ""
    host = said.addr[0] or tracker.host
    if not said.key.isprintable() or not host.isprintable():
        return None, f"'{shown}' has a name with control characters"
    return Device(said.key.removeprefix(_KIND), Address(host, said.addr[1]), cleaned(said.facts), said.free), ""


def _queue(value: object) -> Queue:
    try:
        return msgspec.convert(value, Queue)
    except msgspec.MsgspecError:
        return Queue(0, 0)


def request(tracker: Address, key: str, wait_seconds: float, priority: int = 1, secret: bytes = b"") -> Grant:
    """Wait for a free device.

    Raises
    ------
    UserError
        If no device has that key, or none gets free in time.
    """
    known = summary(tracker, secret)
    keys = sorted({device.key for device in known.devices})
    if key not in keys:
        there = f"it knows {', '.join(keys)}" if keys else "it knows none"
        raise UserError(f"key '{key}': the tracker {tracker} has no such device; {there}")
    with _connected(tracker, secret) as channel:
        channel.send(message([Code.REQUEST, key, "", priority]))
        channel.limit(wait_seconds)
        try:
            answer = _receive(channel)
        except TimeoutError:
            raise UserError(f"key '{key}': no device became free within {wait_seconds:g} s; --wait is longer") from None
        address, port, match_key = msgspec.convert(answer[1:2], tuple[tuple[str, Port, str]])[0]
        if not address.isprintable() or not match_key.isprintable():
            raise ValueError("names with control characters")
    granted = Address(address, port)
    return Grant(key, granted, match_key, _facts_of(tracker, key, granted, secret))


def _facts_of(tracker: Address, key: str, address: Address, secret: bytes) -> BoardFacts:
    """Return what a device that was granted says of itself; it may be newer than a summary from before."""
    devices = [
        device
        for device in summary(tracker, secret).devices
        if device.key == key and device.address.port == address.port
    ]
    # Of those behind one port, on several hosts, the first has the right name or is as good as it.
    devices.sort(key=lambda device: device.address != address)
    return devices[0].facts if devices else BoardFacts()


@contextlib.contextmanager
def _connected(tracker: Address, secret: bytes) -> Iterator[Channel]:
    try:
        with socket.create_connection((tracker.host, tracker.port), ANSWER_SECONDS) as connection:
            yield _introduced(tracker, connection, secret)
    except TimeoutError:
        raise UserError(f"tracker {tracker} does not answer") from None
    except StrangerError as error:
        raise UserError(
            f"tracker {tracker}: {error}; --secret-file names the lab's, --no-secret speaks to one without"
        ) from None
    except OSError as error:
        raise UserError(
            f"tracker {tracker} cannot be reached ({error.strerror or error}); start one with 'python -m rpc tracker'"
        ) from None
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"tracker {tracker}: what it says is no tracker's answer ({printable(str(error))})") from None


def _introduced(tracker: Address, connection: socket.socket, secret: bytes) -> Channel:
    if secret:
        return secure_channel(connection, secret, hello_text(connection, TRACKER_HELLO))
    channel = Channel(connection)
    channel.send(integer(MAGIC))
    try:
        answered = number(channel.receive(4))
    except ConnectionResetError:
        raise StrangerError("it ends the connection, as one that asks for a secret does") from None
    if answered != MAGIC:
        raise UserError(f"tracker {tracker}: something else listens there")
    return channel


def _receive(channel: Channel) -> list[Any]:
    length = checked_length(channel.receive(4), MOST_ANSWER)
    answer = msgspec.json.decode(channel.receive(length), type=list[Any])
    if answer[:1] != [Code.SUCCESS]:
        raise ValueError(f"{answer!r:.80}")
    return answer
