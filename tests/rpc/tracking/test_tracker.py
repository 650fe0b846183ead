"""The tracker on its socket: TVM's own clients and servers, hostile ones, and its own death."""

import random
import socket
import struct
import subprocess
import sys
import threading
import time

import msgspec
import numpy as np
import psutil
import pytest
import tvm.rpc

from rpc.measuring.device_measurement import Plan, candidate, measure_on_device
from rpc.sessions.session import Board
from rpc.tracking import tracker_client
from rpc.tracking.local_tracker import local_tracker, wait_for_devices
from rpc.tracking.tracker_protocol import MAGIC, integer, message
from schedules.errors import UserError
from tests.rpc.attackers import hostile_messages

HOSTILE_CONNECTIONS = 2000


def connected(tracker):
    connection = socket.create_connection((tracker.host, tracker.port), 10)
    connection.sendall(integer(MAGIC))
    assert connection.recv(4, socket.MSG_WAITALL) == integer(MAGIC)
    return connection


def ask(connection, value):
    connection.sendall(value if isinstance(value, bytes) else message(value))
    return reply(connection)


def reply(connection):
    header = connection.recv(4, socket.MSG_WAITALL)
    if len(header) < 4:
        return None
    return msgspec.json.decode(connection.recv(struct.unpack("<i", header)[0], socket.MSG_WAITALL))


def test_tvm_s_own_client_finds_and_uses_our_devices(tracker, offer):
    offer("board")
    session = tvm.rpc.connect_tracker(tracker.host, tracker.port)
    assert "server:board" in session.text_summary()
    remote = session.request("board", session_timeout=60)
    array = tvm.runtime.tensor(np.arange(4.0), remote.cpu())
    assert array.numpy().tolist() == [0, 1, 2, 3]
    session.close()


@pytest.fixture
def stock_server(tracker):
    command = ["tvm.exec.rpc_server", "--host=127.0.0.1", f"--tracker={tracker}", "--key=stock", "--port-end=19999"]
    with subprocess.Popen([sys.executable, "-m", *command], stderr=subprocess.DEVNULL) as process:
        wait_for_devices(tracker, ["stock"])
        yield process
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.kill()


def test_tvm_s_own_server_is_listed_and_measures_with_a_doubt(tracker, stock_server, artifact):
    (device,) = tracker_client.summary(tracker).devices
    assert (device.key, device.free, device.facts.machine) == ("stock", True, "")
    (record,) = measure_on_device(tracker, "stock", [candidate(artifact)], Plan(repeats=3))
    assert record.agreement.agreeing == 5
    assert len(record.samples.samples_ns) == 3
    assert any("TVM's own server" in doubt for doubt in record.doubts)
    with pytest.raises(UserError, match="TVM's own server cannot profile"):
        measure_on_device(tracker, "stock", [candidate(artifact)], Plan(repeats=1, profile=True))


def test_hostile_connections_leave_it_serving(tracker, offer, capfd):
    offer("board")
    rng = random.Random(0)
    for _ in range(HOSTILE_CONNECTIONS):
        with socket.create_connection((tracker.host, tracker.port), 10) as connection:
            connection.sendall(hostile_messages(rng))
    summary = tracker_client.summary(tracker)
    assert [device.key for device in summary.devices] == ["board"]
    assert set(summary.queues) == {"board"}
    with Board(tracker_client.request(tracker, "board", 10), 60):
        pass
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("code", [0, 99, -5])
def test_an_unknown_code_ends_only_its_own_connection(tracker, code):
    with connected(tracker) as other, connected(tracker) as connection:
        assert ask(connection, [code]) is None
        assert ask(other, [1]) == 0


def test_nobody_stops_it_from_outside(tracker):
    with connected(tracker) as connection:
        assert ask(connection, [2, "tracker:0.5"]) == -1
        assert ask(connection, [1]) == 0


def test_a_client_that_leaves_is_not_waited_for(tracker, offer):
    with connected(tracker) as waiting:
        waiting.sendall(message([4, "board", "", 1]))
        deadline = time.monotonic() + 10
        while not tracker_client.summary(tracker).queues and time.monotonic() < deadline:
            time.sleep(0.01)
        assert tracker_client.summary(tracker).queues["board"].pending == 1
    offer("board")
    assert tracker_client.request(tracker, "board", 10).key == "board"


def test_servers_register_again_with_a_tracker_that_was_restarted(offer, tracker, server_folder, tmp_path, request):
    with local_tracker() as first:
        port = first.port
        command = [str(server_folder / "board_server"), "--key", "board", "--tracker", f"127.0.0.1:{port}"]
        server = subprocess.Popen([*command, "--ping-ms", "200", "--folder", str(tmp_path)])
        request.addfinalizer(server.wait)
        request.addfinalizer(server.kill)
        wait_for_devices(first, ["board"])
    with pytest.raises(UserError, match=r"cannot be reached .* 'python -m rpc tracker'"):
        tracker_client.summary(first)
    with local_tracker(port) as second:
        wait_for_devices(second, ["board"], 20)
        with Board(tracker_client.request(second, "board", 10), 60) as board:
            assert board.facts.cores


def test_a_session_outlives_its_tracker(server_folder, tmp_path, request):
    with local_tracker() as first:
        command = [str(server_folder / "board_server"), "--key", "board", "--tracker", str(first)]
        server = subprocess.Popen([*command, "--ping-ms", "200", "--folder", str(tmp_path)])
        request.addfinalizer(server.wait)
        request.addfinalizer(server.kill)
        wait_for_devices(first, ["board"])
        board = Board(tracker_client.request(first, "board", 10), 60)
    with local_tracker(first.port) as second:
        assert board.read("/proc/loadavg")
        deadline = time.monotonic() + 20
        while not tracker_client.summary(second).devices and time.monotonic() < deadline:
            time.sleep(0.05)
        assert tracker_client.summary(second).devices[0].free is False
        board.close()
        wait_for_devices(second, ["board"], 20)


@pytest.mark.parametrize("text", ["nowhere:", ":1", "host:port", "host:0", "host:65536", ""])
def test_an_address_that_is_none_is_refused(text):
    with pytest.raises(UserError, match="expected HOST:PORT"):
        tracker_client.parse_address(text)


def test_an_address_without_a_port_has_the_usual_one():
    assert str(tracker_client.parse_address("lab")) == "lab:9190"


def test_what_is_no_tracker_is_said(request):
    listener = socket.create_server(("127.0.0.1", 0))
    request.addfinalizer(listener.close)
    address = tracker_client.Address("127.0.0.1", listener.getsockname()[1])

    def refuse():
        connection, _ = listener.accept()
        with connection:
            connection.recv(4)
            connection.sendall(b"HTTP")

    thread = threading.Thread(target=refuse)
    thread.start()
    with pytest.raises(UserError, match="something else listens there"):
        tracker_client.summary(address)
    thread.join()


def test_a_port_that_is_taken_is_said(tracker):
    from rpc.tracking.tracker import listening_socket

    with pytest.raises(UserError, match="cannot be listened on"):
        listening_socket("127.0.0.1", tracker.port)
