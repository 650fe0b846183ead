"""A client that measures, with strangers of all kinds beside it: a fake board, a relay, flooders and a poisoner."""

import contextlib
import functools
import json
import os
import socket

import pytest

from rpc.boards.board_server import board_server
from rpc.measuring.device_measurement import Plan, candidate, measure_on_device
from rpc.tracking import tracker_client
from rpc.tracking.local_tracker import local_tracker
from rpc.tracking.tracker_client import Address, summary
from rpc.tracking.tracker_protocol import integer, message
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.target import find_target
from tests.rpc.attackers import (
    POISONS,
    accepting,
    exactly,
    flood,
    in_thread,
    load_library_call,
    relay,
    tracker_connection,
    welcome,
)

SECRET = b"of this lab"


@pytest.fixture(scope="module", params=["tvm", "libbnn"])
def runtime(request):
    return request.param


@pytest.fixture(scope="module")
def server_folder(runtime):
    return board_server(host.machine(), runtime)


@pytest.fixture(scope="module")
def model(runtime, artifact, deployed_artifact_for, tmp_path_factory):
    if runtime == "tvm":
        return artifact
    return deployed_artifact_for(tmp_path_factory.mktemp("deployed") / "sums.so", find_target("native"))


def fake_board(connection):
    """Welcome whoever comes, and send what TVM's endpoint would run."""
    with contextlib.suppress(OSError):
        welcome(connection)
        connection.sendall(load_library_call(os.fsencode("/nowhere/owned.so")) * 2)


def offer_falsely(tracker, port, match_keys, stopped):
    """Put the fake board on offer under the device's key, again and again, under match keys of others, too."""
    while not stopped.wait(0.05):
        with contextlib.suppress(OSError), tracker_connection(tracker) as connection:
            connection.settimeout(1)
            exactly(connection, 4)
            connection.sendall(message([5, {"key": "server:board", "addr": [None, port]}]))
            for match_key in ("board:fake", *match_keys):
                connection.sendall(message([3, "board", [port, match_key], None]))
            stopped.wait(0.2)


def poison(tracker, stopped):
    while not stopped.is_set():
        for said in POISONS:
            with contextlib.suppress(OSError), tracker_connection(tracker) as connection:
                connection.settimeout(1)
                body = json.dumps([5, said]).encode()  # which takes integers of any size
                connection.sendall(integer(len(body)) + body)
                connection.recv(1)
        stopped.wait(0.05)


@contextlib.contextmanager
def strangers(tracker):
    """All of them at once."""
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(accepting(fake_board))
        for work in (functools.partial(offer_falsely, tracker, port, ["board:1"]), functools.partial(poison, tracker)):
            stack.enter_context(in_thread(work))
        for _ in range(3):
            stack.enter_context(in_thread(functools.partial(flood, tracker)))
        yield port


def test_a_measurement_beside_strangers_ends_with_the_right_answers(server_folder, running, model, tmp_path):
    file = tmp_path / "secret"
    file.write_bytes(SECRET)
    with (
        local_tracker(secret=file) as tracker,
        strangers(tracker),
        running(server_folder, tracker, "board", tmp_path, "--secret-file", str(file), secret=SECRET),
    ):
        plan = Plan(repeats=3, secret=SECRET, session_seconds=60)
        with relay(tracker.port) as port:
            # One that the client takes for the tracker: it can listen, and pass on.
            for address in (tracker, tracker, Address(tracker.host, port)):
                (record,) = measure_on_device(address, "board", [candidate(model)], plan)
                assert (record.agreement.samples, record.agreement.agreeing) == (5, 5)
        assert [device.key for device in summary(tracker, SECRET).devices] == ["board"]


def test_without_a_secret_fake_boards_are_lost_devices_and_run_nothing(server_folder, running, model, tmp_path):
    """Who asks for no proof may be sent astray, but not made to serve; an offer that answers rightly is measured."""
    with local_tracker() as tracker, strangers(tracker), running(server_folder, tracker, "board", tmp_path, wait=False):
        outcomes = []
        for _ in range(3):
            try:
                (record,) = measure_on_device(tracker, "board", [candidate(model)], Plan(repeats=3, wait_seconds=20))
                outcomes.append(f"{record.agreement.agreeing} right")
            except UserError as error:
                outcomes.append(str(error))
    assert all(
        outcome == "5 right" or "was lost while" in outcome or "no such device" in outcome for outcome in outcomes
    )


def test_a_device_that_dies_in_the_handshake_is_replaced_by_another(tracker, offer, model):
    told = []

    def die(connection):
        connection.recv(8)

    with accepting(die) as port, tracker_connection(tracker) as connection:
        connection.recv(4, socket.MSG_WAITALL)
        facts = {"bnn_format": 1} if "deployed" in str(model) else {}
        connection.sendall(message([5, {"key": "server:board", "addr": [None, port], "facts": facts}]))
        connection.sendall(message([3, "board", [port, "board:1"], None]))
        exactly(connection, 10)
        offer("board")
        (record,) = measure_on_device(tracker, "board", [candidate(model)], Plan(repeats=3), told.append)
    assert record.agreement.agreeing == 5
    assert any("was lost while connecting" in line and "trying the next one" in line for line in told)


def test_facts_of_a_device_are_found_by_its_address(tracker, offer):
    offer("board")
    grant = tracker_client.request(tracker, "board", 10)
    assert grant.facts.machine == host.machine()
