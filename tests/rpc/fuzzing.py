"""``python -m tests.rpc.fuzzing TARGET``: send a part of the lab, on the loopback, what nobody should, and see it live.

Targets are the tracker, both board servers, and the client. ``--calls`` or ``--seconds`` end it; a seed is printed, and
repeats the run. ``--sanitize`` builds the servers with the system's compiler, AddressSanitizer and
UndefinedBehaviorSanitizer. The exit code is 1, with what was found, if something died or a sanitizer spoke.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rpc.boards import libbnn
from rpc.boards.board_server import _LIBBNN, _SOURCES, _TVM, PROGRAM, _versions_header, board_server
from rpc.boards.runtime_libraries import include_folder, runtime_libraries
from rpc.measuring.device_measurement import open_board
from rpc.sessions.session import Board
from rpc.tracking import tracker_client
from rpc.tracking.channel import SecureChannel
from rpc.tracking.frames import Direction
from rpc.tracking.local_tracker import local_tracker, wait_for_devices
from rpc.tracking.shared_secret import NONCE, PROOF, SECURE_MAGIC, TRACKER_HELLO, agree, hello_text
from rpc.tracking.tracker_client import Address, Grant
from rpc.tracking.tracker_protocol import message
from schedules.errors import UserError
from schedules.machines import host
from tests.rpc.attackers import (
    accepting,
    changed,
    exactly,
    hostile_call,
    hostile_greeting,
    hostile_messages,
    hostile_packet,
    welcome,
)

SECRET = b"of the fuzzed lab"
#: Honest work between so many hostile calls.
BETWEEN = 250
#: How probable a change is, where there are several places for one.
_OFTEN = 0.5
_SIGNS = ("AddressSanitizer", "runtime error:", "LeakSanitizer", "Traceback")


class FoundError(Exception):
    """Something died, or a sanitizer spoke."""


def sanitized_server(runtime: str, folder: Path) -> Path:
    """Build a board's server with sanitizers, and return its folder."""
    back_end = _TVM if runtime == "tvm" else _LIBBNN
    sources = [*_SOURCES.glob("*.c"), *back_end.glob("*.c"), *(libbnn.SOURCES if runtime == "libbnn" else ())]
    include = [include_folder(), _SOURCES, back_end, folder, libbnn.FOLDER]
    libraries = sorted(runtime_libraries(host.machine()).glob("*.so")) if runtime == "tvm" else []
    (folder / "versions.h").write_text(_versions_header())
    options = ["-std=gnu11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
    rpath = [f"-Wl,--no-as-needed,-rpath,{libraries[0].parent}"] if libraries else []
    words = [*options, *(f"-I{path}" for path in include), *rpath, *map(str, sources), *map(str, libraries)]
    subprocess.run(["cc", *words, "-lm", "-ldl", "-lpthread", "-o", str(folder / PROGRAM)], check=True)
    return folder


class Lab:
    """A tracker, and perhaps a board's server, whose words are kept."""

    def __init__(self, tracker: Address, secret: bytes, said: Path) -> None:
        self.tracker, self.secret, self.said = tracker, secret, said
        self.server: subprocess.Popen[bytes] | None = None

    def check(self) -> None:
        """Raise a FoundError if something is wrong; do some honest work."""
        if self.server is not None:
            if self.server.poll() is not None:
                raise FoundError(f"the server ended with {self.server.returncode}\n{self.said.read_text()[-4000:]}")
            with self.session() as board:
                if not board.read("/proc/loadavg"):
                    raise FoundError("the board does not answer")
        tracker_client.summary(self.tracker, self.secret)
        text = "".join(path.read_text(errors="replace") for path in (self.said, self.said.with_name("heard")))
        if any(sign in text for sign in _SIGNS):
            raise FoundError(text[-8000:])

    def grant(self) -> Grant:
        return tracker_client.request(self.tracker, "board", 60, secret=self.secret)

    def session(self) -> Board:
        return open_board(self.grant(), 60, self.secret)


@contextlib.contextmanager
def lab(runtime: str | None, secret: bytes, sanitize: bool) -> Iterator[Lab]:
    """Run a lab until the block ends."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tvm_bnn_fuzzed_")))
        (folder / "secret").write_bytes(SECRET)
        heard = stack.enter_context((folder / "heard").open("w"))
        stack.enter_context(contextlib.redirect_stderr(heard))  # of the tracker
        tracker = stack.enter_context(local_tracker(secret=folder / "secret" if secret else None))
        made = Lab(tracker, secret, folder / "said")
        said = stack.enter_context((folder / "said").open("wb"))
        if runtime is not None:
            (folder / "built").mkdir()
            built = sanitized_server(runtime, folder / "built") if sanitize else board_server(host.machine(), runtime)
            words = [str(built / PROGRAM), "--key", "board", "--tracker", str(tracker), "--folder", str(folder)]
            words += ["--ping-ms", "100", *(["--secret-file", str(folder / "secret")] if secret else [])]
            made.server = stack.enter_context(subprocess.Popen(words, stderr=said))
            stack.callback(made.server.kill)
            wait_for_devices(tracker, ["board"], secret=secret)
        yield made
        made.check()


def send(address: Address, data: bytes) -> None:
    """Say something, and leave; whoever hangs up first is right."""
    with contextlib.suppress(ConnectionError), socket.create_connection((address.host, address.port), 10) as connection:
        connection.sendall(data)


def half_secure(connection: socket.socket, hello: str, rng: random.Random) -> Direction:
    """Go through a handshake as who knows the secret does, or almost; return how to go on."""
    said = changed(rng, hello.encode()) if rng.random() < _OFTEN else hello.encode()
    whole = struct.pack("<ii", SECURE_MAGIC, len(said)) + said
    connection.sendall(changed(rng, whole) if rng.random() < _OFTEN / 2 else whole)
    connection.settimeout(0.05)
    answer = exactly(connection, 4 + NONCE + PROOF)
    agreed = agree(SECRET, hello, answer[4 : 4 + NONCE])
    connection.sendall(changed(rng, agreed.caller) if rng.random() < _OFTEN else agreed.caller)
    return Direction(agreed.to_called)


def fuzz_secure(address: Address, wanted: str, content: bytes, rng: random.Random, **more: str) -> None:
    """Send a handshake and frames, one of which is wrong somewhere."""
    with contextlib.suppress(OSError), socket.create_connection((address.host, address.port), 10) as connection:
        direction = half_secure(connection, hello_text(connection, wanted, **more), rng)
        frame = direction.sealed(content) if content else b""
        connection.sendall(changed(rng, frame) if rng.random() < _OFTEN else frame)


def tracker_calls(place: Lab, rng: random.Random) -> Iterator[None]:
    while True:
        if place.secret and rng.random() < _OFTEN:
            fuzz_secure(place.tracker, TRACKER_HELLO, changed(rng, message([6])), rng)
        else:
            send(place.tracker, hostile_messages(rng))
        yield


def server_calls(place: Lab, rng: random.Random) -> Iterator[None]:
    """Handshakes, and calls in sessions that were let in."""
    while True:
        grant = place.grant()
        for _ in range(BETWEEN // 2):
            if place.secret:
                fuzz_secure(grant.address, f"client:{grant.match_key}", b"", rng, timeout="1", asked=str(grant.address))
            else:
                send(grant.address, hostile_greeting(rng, grant.match_key))
            yield
        with place.session() as board:
            yield from session_calls(board, rng)


def session_calls(board: Board, rng: random.Random) -> Iterator[None]:
    """Only libbnn's server says how it answers what is no call; on TVM's runtime a client runs code anyway."""
    channel = getattr(board, "_channel", None)
    if channel is None:
        return
    for _ in range(BETWEEN // 2):
        call = hostile_call(rng)
        call = changed(rng, call) if call and rng.random() < _OFTEN else call
        channel.send(struct.pack("<I", len(call)) + call)
        (length,) = struct.unpack("<I", channel.receive(4))
        if channel.receive(length)[:1] not in (b"e", b"n"):
            raise FoundError(f"a hostile call was answered: {call!r}")
        yield
    if isinstance(channel, SecureChannel):
        channel.send(b"\xff\xff\xff\xff")


def client_calls(_place: Lab | None, rng: random.Random) -> Iterator[None]:
    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            welcome(connection)
            for _ in range(rng.randrange(1, 5)):
                exactly(connection, 8)
                connection.sendall(hostile_packet(rng))

    with accepting(serve) as port:
        while True:
            with contextlib.suppress(UserError):
                Board(Grant("board", Address("127.0.0.1", port), "board:1"), 5).close()
            yield


TARGETS: dict[str, tuple[str | None, Callable[[Lab, random.Random], Iterator[None]]]] = {
    "tracker": (None, tracker_calls),
    "server": ("tvm", server_calls),
    "libbnn-server": ("libbnn", server_calls),
    "client": (None, client_calls),
}


def fuzz(target: str, seed: int, calls: int, seconds: float, secret: bytes = b"", sanitize: bool = False) -> int:
    """Fuzz one target and return how many hostile calls it lived through.

    Raises
    ------
    FoundError
        If it did not.
    """
    runtime, hostile = TARGETS[target]
    rng, done = random.Random(seed), 0
    with lab(runtime, secret, sanitize) as place:
        stream, end = hostile(place, rng), time.monotonic() + seconds  # from when it has been built
        while done < calls and time.monotonic() < end:
            next(stream)
            done += 1
        stream.close()
    return done


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.rpc.fuzzing", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--calls", type=int, default=1 << 62, help="hostile calls of each target")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--sanitize", action="store_true", help="build the servers with ASan and UBSan")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    names = list(TARGETS) if options.target == "all" else [options.target]
    runs = [(name, secret) for name in names for secret in ((b"",) if name == "client" else (b"", SECRET))]
    for name, secret in runs:
        kind = "with a secret" if secret else "without a secret"
        try:
            done = fuzz(name, seed, options.calls, options.seconds / len(runs), secret, options.sanitize)
        except FoundError as error:
            print(f"{name} {kind}, --seed {seed}: {error}", file=sys.stderr)
            return 1
        print(f"{name} {kind}: {done} hostile calls, --seed {seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
