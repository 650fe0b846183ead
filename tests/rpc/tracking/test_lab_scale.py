"""Many devices and many clients at one tracker: none is lost, none is stuck, each gets its share."""

import contextlib
import random
import socket
import statistics
import struct
import subprocess
import threading
import time

import pytest

from rpc.boards.board_server import PROGRAM
from rpc.tracking import tracker_client
from rpc.tracking.local_tracker import wait_for_devices

MAGIC = (0xFF271).to_bytes(4, "little")
WELCOME = MAGIC + len(b"server:board").to_bytes(4, "little") + b"server:board"
#: A packet of four bytes, which is TVM's code for the end of a session.
SHUTDOWN = struct.pack("<Qi", 4, 1)
#: Of a session: long enough that devices are scarce.
HOLD_SECONDS = 0.05


@contextlib.contextmanager
def devices(folder, tracker, count, work):
    words = [str(folder / PROGRAM), "--key", "board", "--tracker", str(tracker), "--folder", str(work)]
    servers = [subprocess.Popen(words, stderr=subprocess.DEVNULL) for _ in range(count)]
    try:
        wait_for_devices(tracker, ["board"] * count)
        yield
        assert all(server.poll() is None for server in servers)
    finally:
        for server in servers:
            server.kill()
        for server in servers:
            server.wait()


def hold_a_session(grant):
    """Introduce ourselves as TVM's client does, stay for a moment, and leave."""
    name = f"client:{grant.match_key}".encode()
    with socket.create_connection((grant.address.host, grant.address.port), 10) as connection:
        connection.sendall(MAGIC + len(name).to_bytes(4, "little") + name)
        with connection.makefile("rb") as answers:
            assert answers.read(len(WELCOME)) == WELCOME
        time.sleep(HOLD_SECONDS)
        connection.sendall(SHUTDOWN)


def client(tracker, seconds, waits, failures):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        try:
            grant = tracker_client.request(tracker, "board", 30)
            waits.append(time.monotonic() - start)
            hold_a_session(grant)
        except (AssertionError, OSError, ValueError) as error:
            failures.append(repr(error))
        time.sleep(random.Random(len(waits)).random() * HOLD_SECONDS)


@pytest.mark.parametrize(
    ("count", "clients", "seconds"),
    [(4, 8, 3), pytest.param(64, 32, 60, marks=pytest.mark.slow), pytest.param(16, 32, 60, marks=pytest.mark.slow)],
)
def test_every_client_gets_its_share_and_every_device_comes_back(
    server_folder, tracker, tmp_path, capsys, count, clients, seconds
):
    with devices(server_folder, tracker, count, tmp_path):
        waits, failures = [[] for _ in range(clients)], []
        threads = [threading.Thread(target=client, args=(tracker, seconds, own, failures)) for own in waits]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + 60)
        assert not any(thread.is_alive() for thread in threads)
        assert failures == []
        wait_for_devices(tracker, ["board"] * count)
        assert tracker_client.summary(tracker).queues["board"].pending == 0
    shares = sorted(len(own) for own in waits)
    # A fair queue: nobody gets much more than another who asks as often.
    assert shares[0] >= 0.7 * shares[-1]
    every = sorted(wait for own in waits for wait in own)
    with capsys.disabled():
        print(
            f"\n{count} devices, {clients} clients, {seconds} s: {len(every)} sessions, {shares[0]} to {shares[-1]} for"
            f" each client; waited {1e3 * statistics.median(every):.0f} ms (median), {1e3 * every[-1]:.0f} ms (longest)"
        )
