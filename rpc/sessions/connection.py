"""Connect to a device that the tracker gave us: after this, calls may travel, in TVM's protocol or in our own."""

from __future__ import annotations

import socket
import struct

from rpc.tracking.channel import Channel, StrangerError, secure_channel
from rpc.tracking.shared_secret import hello_text
from rpc.tracking.tracker_client import Grant
from rpc.tracking.wire import receive

_MAGIC = 0xFF271
_CONNECT_SECONDS = 10.0
#: After a session's time is up, the device says so; after so much longer it is not there any more.
_GRACE_SECONDS = 30.0
_MOST_NAME = 1024


def connect(grant: Grant, seconds: float, secret: bytes) -> Channel:
    """Return a connection whose other end has let us in.

    Parameters
    ----------
    grant
        What the tracker gave us.
    seconds
        After which the device ends the session.
    secret
        Which the device has to prove that it knows before anything else is said; empty to speak as TVM's clients do.

    Raises
    ------
    OSError
        If there is nobody; a StrangerError if somebody else is there.
    """
    connection = socket.create_connection((grant.address.host, grant.address.port), _CONNECT_SECONDS)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wanted = f"client:{grant.match_key}"
        channel = _secure(connection, wanted, grant, seconds, secret) if secret else _plain(connection, wanted, seconds)
        channel.limit(seconds + _GRACE_SECONDS if seconds else None)
    except BaseException:
        connection.close()
        raise
    return channel


def _secure(connection: socket.socket, wanted: str, grant: Grant, seconds: float, secret: bytes) -> Channel:
    hello = hello_text(connection, wanted, timeout=f"{seconds:g}", asked=str(grant.address))
    channel = secure_channel(connection, secret, hello)
    channel.receive_frame()  # the server's name, by which we know that our proof was right
    return channel


def _plain(connection: socket.socket, wanted: str, seconds: float) -> Channel:
    said = f"{wanted} -timeout={seconds:g}".encode()
    connection.sendall(struct.pack("<ii", _MAGIC, len(said)) + said)
    (magic,) = struct.unpack("<i", receive(connection, 4))
    if magic != _MAGIC:
        raise StrangerError("it expects another client, or one that knows its secret")
    (length,) = struct.unpack("<i", receive(connection, 4))
    if not 0 <= length <= _MOST_NAME:
        raise StrangerError("it sends what is no server's name")
    receive(connection, length)
    return Channel(connection)
