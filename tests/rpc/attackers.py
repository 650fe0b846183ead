"""Strangers on the loopback: what they send to trackers, servers and clients, until they are told to stop."""

import contextlib
import random
import socket
import struct
import threading

from rpc.tracking.tracker_protocol import MAGIC, integer, message

BOARD_MAGIC = 0xFF271


@contextlib.contextmanager
def listener(port=0):
    """Listen on the loopback; yields the socket and its port."""
    with socket.create_server(("127.0.0.1", port)) as opened:
        yield opened, opened.getsockname()[1]


@contextlib.contextmanager
def in_thread(work):
    """Run ``work(stopped)`` beside the block; it looks at the event that tells it to stop."""
    stopped = threading.Event()
    thread = threading.Thread(target=work, args=(stopped,))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(30)
        assert not thread.is_alive()


@contextlib.contextmanager
def accepting(serve):
    """Serve every connection by ``serve(connection)``, one after the other; yields the port."""
    with listener() as (opened, port):
        opened.settimeout(0.1)

        def work(stopped):
            while not stopped.is_set():
                with contextlib.suppress(TimeoutError, OSError):
                    connection, _ = opened.accept()
                    with connection:
                        connection.settimeout(5)
                        serve(connection)

        with in_thread(work):
            yield port


@contextlib.contextmanager
def relay(target, changed=lambda _direction, data: data, host="127.0.0.1", port=0):
    """Pass everything on to a port of a host, through ``changed``; yields the port to connect to."""

    def pump(direction, source, sink, stopped):
        with contextlib.suppress(OSError):
            while not stopped.is_set() and (data := source.recv(65536)):
                sink.sendall(changed(direction, data))
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    with listener(port) as (opened, listening):
        opened.settimeout(0.1)

        def work(stopped):
            while not stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    caller, _ = opened.accept()
                    with caller, socket.create_connection((host, target), 5) as called:
                        caller.settimeout(5)
                        inward = threading.Thread(target=pump, args=("in", caller, called, stopped))
                        inward.start()
                        pump("out", called, caller, stopped)
                        inward.join()

        with in_thread(work):
            yield listening


def tracker_connection(tracker):
    """Return a connection to a tracker on which TVM's protocol has begun, as far as the tracker lets it."""
    connection = socket.create_connection((tracker.host, tracker.port), 10)
    connection.sendall(integer(MAGIC))
    return connection


def welcome(connection, key="board"):
    """Greet a client as TVM's servers do."""
    (_, length) = struct.unpack("<ii", exactly(connection, 8))
    exactly(connection, length)
    name = f"server:{key}".encode()
    connection.sendall(struct.pack("<ii", BOARD_MAGIC, len(name)) + name)


def exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def packet(code, content=b""):
    return struct.pack("<Qi", 4 + len(content), code) + content


def load_library_call(path):
    """Return the two packets by which TVM's endpoint is made to run a library's constructors."""
    name = b"ffi.ModuleLoadFromFile"
    find = struct.pack("<iiQ", 1, 8, len(name)) + name
    call = struct.pack("<QiiQ", 1 << 40, 1, 8, len(path)) + path
    return packet(9, find) + packet(3, call)


def flood(tracker, stopped):
    """Send valid messages as fast as the tracker takes them, and read what it answers; return when told to."""
    everything = message([1]) + message([6]) * 3 + message([4, "board", "", 1000])
    with contextlib.suppress(OSError), tracker_connection(tracker) as connection:
        connection.settimeout(0.05)
        while not stopped.is_set():
            with contextlib.suppress(TimeoutError):
                connection.sendall(everything * 50)
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1 << 20):
                    return


#: Facts and addresses by which one server could lock all clients out.
POISONS = [
    {"key": "server:a", "addr": [None, 1], "facts": {"asks_secret": 5}},
    {"key": "server:b", "addr": [None, -5]},
    {"key": "server:c", "addr": [None, 10**22]},
    {"key": "server:d", "addr": [None, 1], "facts": {"cores": "many"}},
    {"key": "server:e", "addr": [None, 1], "facts": {"cores": 10**30}},
    {"key": "server:f\x1b[2J", "addr": [None, 1]},
    {"key": "server:g", "addr": ["\x1b]0;owned\x07", 1]},
    {"key": "server:h", "addr": [None, 1], "facts": {"model": "a\x1b[31m"}},
    {"key": "server:i", "addr": [None, 1], "facts": {"model": ["a"]}},
    {"key": "server:j", "addr": [None, 1.5]},
    {"key": "server:k", "addr": [7, 1]},
    {"key": 7, "addr": [None, 1]},
    {"key": "server:" + "l" * 500, "addr": [None, 1]},
    {"key": "server:m", "addr": [None, 1], "facts": {str(n): n for n in range(500)}},
    {"key": "server:n", "addr": [None, 1], "facts": 5},
]


def hostile_packet(rng):
    """Return what no device answers: calls, wrong lengths, values that are none, addresses."""
    number = rng.choice([0, -1, 1, 2**31 - 1, rng.randrange(2**31)])
    kind = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 64, 65, 66, 68, 70, 73, 115, -1, rng.randrange(200)])
    noise = rng.randbytes(rng.randrange(60))
    return rng.choice(
        [
            lambda: packet(rng.randrange(-2, 25), noise),
            lambda: packet(4, struct.pack("<i", number) + noise),
            lambda: packet(4, struct.pack("<ii", rng.randrange(4), kind) + noise),
            lambda: packet(4, struct.pack("<iiq", 1, kind, number)),
            lambda: packet(4, struct.pack("<iiqiQ", 2, 1, kind, 4, rng.getrandbits(63))),
            lambda: packet(4, struct.pack("<iiQiiiBBH", 1, 7, 0, 1, 0, number, 2, 32, 1) + noise),
            lambda: packet(5, struct.pack("<iiQ", 1, 8, rng.choice([3, 2**40])) + b"abc"),
            lambda: packet(8, noise),
            lambda: struct.pack("<Qi", rng.choice([0, 3, 2**63, 2**40]), rng.randrange(10)) + noise,
        ]
    )()


def greeting(text, length=None, magic=BOARD_MAGIC):
    data = text.encode("latin-1")
    return struct.pack("<ii", magic, len(data) if length is None else length) + data


def hostile_greeting(rng, match_key):
    """Return bytes that no right client sends: noise, wrong numbers, cut and changed greetings."""
    right = greeting(f"client:{match_key}")
    return rng.choice(
        [
            lambda: rng.randbytes(rng.randrange(64)),
            lambda: struct.pack("<i", BOARD_MAGIC) + rng.randbytes(rng.randrange(64)),
            lambda: greeting("client:x", length=rng.choice([0, -1, 1025, 1 << 20, 2**31 - 1, -(2**31)])),
            lambda: greeting("client:" + "x" * rng.randrange(1000)),
            lambda: greeting(rng.randbytes(rng.randrange(1, 900)).decode("latin-1")),
            lambda: right[: rng.randrange(len(right))],
            lambda: greeting(f"client:{match_key} -timeout={rng.choice(['nan', 'inf', '-1', 'x', '1e999', '%n'])}"),
            lambda: greeting(f"client:{match_key} -{rng.choice(['', 'x', 'proof', 'timeout'])}"),
            lambda: greeting(f"server:{match_key}"),
            lambda: greeting(f"client:{match_key}\0 -timeout=1"),
        ]
    )()


def text(data):
    return b"b" + struct.pack("<I", len(data)) + data


def hostile_call(rng):
    """Return what no right client sends: noise, wrong lengths, functions that are none, arguments that do not fit."""
    known = [b"tvm_bnn.board." + name for name in (b"input", b"run", b"output", b"outputs", b"time", b"sense")]
    known += [b"tvm.rpc.server." + name for name in (b"upload", b"load_module")]
    number = b"i" + rng.randbytes(8)
    return rng.choice(
        [
            lambda: b"",
            lambda: rng.randbytes(rng.randrange(64)),
            lambda: number,
            lambda: text(rng.randbytes(rng.randrange(300))),
            lambda: b"b" + struct.pack("<I", rng.choice([1 << 31, (1 << 32) - 1, 9])) + b"tvm_bnn",
            lambda: text(rng.choice(known)) + rng.randbytes(rng.randrange(20)),
            lambda: text(rng.choice(known)) + number * rng.randrange(7),
            lambda: text(rng.choice(known)) + text(rng.randbytes(rng.randrange(400))) * rng.randrange(4),
            lambda: text(rng.choice(known)) + number + text(b"/proc/../etc/passwd") * rng.randrange(3),
        ]
    )()


def hostile_messages(rng):
    """Return what no server and no client says to a tracker."""
    right = message([3, "board", [1, "board:1"], None])
    return rng.choice(
        [
            lambda: rng.randbytes(rng.randrange(40)),
            lambda: integer(MAGIC) + rng.randbytes(rng.randrange(40)),
            lambda: integer(MAGIC) + integer(rng.choice([0, -1, 65537, 2**31 - 1, -(2**31)])),
            lambda: integer(MAGIC) + right[: rng.randrange(len(right))],
            lambda: integer(MAGIC) + integer(9) + rng.randbytes(9),
            lambda: integer(MAGIC) + message(rng.choice([[], [99], [3], [3, 1, 2], [4, "x"], [5, {}], {"a": 1}, 7])),
            lambda: integer(MAGIC) + message([4, "", "", 1]),
            lambda: integer(MAGIC) + message([4, "x" * 200, "", 1]),
            lambda: integer(MAGIC) + message([3, "board", ["port", "key"], None]),
            lambda: integer(MAGIC) + message([5, {"key": "server:x", "addr": ["a", "b"]}]),
        ]
    )()


def changed(rng, data):
    """Return bytes with a few changes: bits, cuts, repetitions, noise."""
    data = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.randrange(1, 9)]
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 3:
                data[at:at] = data[: rng.randrange(1, 40)]
            case _ if at < len(data):
                data[at] = rng.choice([0, 1, 0x20, 0x2D, 0x3D, 0x7F, 0x80, 0xFF])
    return bytes(data)


def seeded(seed):
    return random.Random(seed)
