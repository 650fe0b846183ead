"""The tracker beside strangers who speak its language: floods, false introductions, stolen match keys."""

import contextlib
import functools
import json
import socket
import threading

import pytest

from rpc.tracking import tracker_client
from rpc.tracking.allowance import Allowance
from rpc.tracking.introduction import introduction
from rpc.tracking.scheduler import DuplicateError, Offer, Scheduler
from rpc.tracking.tracker import MOST_MESSAGES, MOST_PENDING, MOST_STRANGERS
from rpc.tracking.tracker_client import Address
from rpc.tracking.tracker_protocol import MAGIC, integer, message
from schedules.errors import UserError
from tests.rpc.attackers import POISONS, accepting, exactly, flood, in_thread, tracker_connection

FLOODERS, HONEST, TURNS = 4, 16, 3


def answered(connection):
    header = exactly(connection, 4)
    return json.loads(exactly(connection, int.from_bytes(header, "little")))


@pytest.fixture
def strange(tracker):
    with tracker_connection(tracker) as connection:
        assert connection.recv(4, socket.MSG_WAITALL)
        yield connection


def offer_devices(tracker, stopped):
    """Offer a device again and again; nobody serves there, so that only the tracker is at work."""
    with tracker_connection(tracker) as connection:
        connection.recv(4, socket.MSG_WAITALL)
        connection.sendall(message([5, {"key": "server:board", "addr": [None, 1]}]))
        answered(connection)
        for number in range(HONEST * TURNS + FLOODERS * MOST_PENDING):
            connection.sendall(message([3, "board", [1, f"board:{number}"], None]))
            if answered(connection) != 0 or stopped.wait(0.02):
                return


def be_honest(tracker, served, failures):
    try:
        served += [tracker_client.request(tracker, "board", 60, priority=1000).match_key for _ in range(TURNS)]
    except UserError as error:
        failures.append(str(error))


def test_sixteen_clients_get_their_devices_beside_four_flooders(tracker):
    served, failures = [], []
    with contextlib.ExitStack() as stack:
        stack.enter_context(in_thread(functools.partial(offer_devices, tracker)))
        while not tracker_client.summary(tracker).devices:
            pass
        for _ in range(FLOODERS):
            stack.enter_context(in_thread(functools.partial(flood, tracker)))
        clients = [threading.Thread(target=be_honest, args=(tracker, served, failures)) for _ in range(HONEST)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert failures == []
    assert len(set(served)) == HONEST * TURNS


def test_an_allowance_is_saved_up_to_its_most_and_spent_ahead():
    allowance = Allowance(10.0, 20.0)
    assert allowance.spend(20, 100.0) == 0
    assert allowance.spend(5, 100.0) == 0.5
    assert allowance.spend(0, 100.5) == 0
    assert allowance.spend(21, 1e6) == pytest.approx(0.1)
    assert allowance.spend(0, 1e6 - 5) == pytest.approx(0.1)  # a clock that goes back gives nothing


def test_a_connection_has_so_many_messages_at_once_and_the_next_wait(tracker, strange):
    """Others are served between any two of its messages: what it may not say yet is not read."""
    sent = 10 * int(MOST_MESSAGES)
    strange.sendall(message([1]) * sent)
    strange.settimeout(0.2)
    received = b""
    with contextlib.suppress(TimeoutError):
        while len(received) < int(MOST_MESSAGES) * 5:  # an answer is a length and one digit
            received += strange.recv(1 << 16)
    assert len(tracker_client.summary(tracker).devices) == 0
    assert 0 < len(received) // 5 < sent


def test_requests_of_one_connection_are_limited(tracker, strange):
    strange.sendall(message([4, "board", "", 1]) * (MOST_PENDING + 1))
    strange.settimeout(10)
    assert strange.recv(1) == b""
    assert tracker_client.summary(tracker).queues == {}


@pytest.mark.parametrize("said", POISONS, ids=lambda said: ascii(said)[:40])
def test_a_false_introduction_is_refused_at_the_door(tracker, strange, said):
    strange.sendall(integer(len(json.dumps([5, said]))) + json.dumps([5, said]).encode())
    strange.settimeout(10)
    assert strange.recv(1) == b""
    assert tracker_client.summary(tracker).devices == ()


def test_a_right_introduction_is_taken():
    made = introduction({"key": "server:a", "addr": [None, 9], "facts": {"cores": 4, "model": "ü", "from later": 1.5}})
    assert (made.key, made.addr) == ("server:a", (None, 9))


@pytest.mark.parametrize(
    "text", ["[" * 60_000, '[5,{"key":' + '{"a":' * 10_000, "[1" + "0" * 6000 + "]", '["\\ud800"]']
)
def test_nonsense_that_is_json_s_ends_its_connection_in_one_line(tracker, strange, text, capfd):
    strange.sendall(integer(len(text)) + text.encode())
    strange.settimeout(10)
    assert strange.recv(1) == b""
    assert tracker_client.summary(tracker).devices == ()
    lines = [line for line in capfd.readouterr().err.splitlines() if "is disconnected" in line]
    assert len(lines) <= 1
    assert all(len(line) < 300 and line.isprintable() for line in lines)


def test_the_door_refuses_ports_of_offers_that_are_none(tracker, strange):
    strange.sendall(message([3, "board", [-5, "board:1"], None]))
    strange.settimeout(10)
    assert strange.recv(1) == b""
    assert tracker_client.summary(tracker).queues == {}


def test_a_client_that_meets_a_poisoned_summary_skips_it_and_says_so():
    """The tracker may be another's, which refuses nothing."""
    right = {"key": "server:good", "addr": [None, 9], "facts": {"model": "a\x1b[31mb", "cores": 2}}
    body = json.dumps(
        [0, {"queue_info": {"good": {"free": 1, "pending": 0}, "x": 5}, "server_info": [*POISONS, right]}]
    )

    def serve(connection):
        connection.sendall(exactly(connection, 4))
        exactly(connection, int.from_bytes(exactly(connection, 4), "little"))
        connection.sendall(integer(len(body)) + body.encode())

    with accepting(serve) as port:
        found = tracker_client.summary(Address("127.0.0.1", port))
    assert "good" in [device.key for device in found.devices]
    assert all(device.key.isprintable() and 0 < device.address.port < 65536 for device in found.devices)
    assert [device.facts.model for device in found.devices if device.key == "good"] == ["a?[31mb"]
    assert len(found.skipped) >= len(POISONS) - 4  # names too long and facts too many are only the tracker's business
    assert all(line.isprintable() and "a device is skipped" in line for line in found.skipped)


@pytest.mark.parametrize("body", ["[" * 50_000, '[0,{"queue_info":' + "[" * 9000, "[0]", "[0,5]", "[0,[]]", "{}"])
def test_an_answer_that_is_none_is_one_line(body):
    def serve(connection):
        connection.sendall(exactly(connection, 4))
        exactly(connection, int.from_bytes(exactly(connection, 4), "little"))
        connection.sendall(integer(len(body)) + body.encode())

    with accepting(serve) as port, pytest.raises(UserError, match="no tracker's answer") as caught:
        tracker_client.summary(Address("127.0.0.1", port))
    assert str(caught.value).isprintable()


def test_who_does_not_say_who_it_is_keeps_nobody_out(tracker):
    address = (tracker.host, tracker.port)
    silent = [socket.create_connection(address, 10) for _ in range(MOST_STRANGERS + 50)]
    assert tracker_client.summary(tracker).devices == ()
    silent[0].settimeout(10)
    assert silent[0].recv(1) == b""
    silent[-1].sendall(integer(MAGIC))
    assert exactly(silent[-1], 4) == integer(MAGIC)
    for connection in silent:
        connection.close()


def test_a_match_key_leads_to_one_device(tracker, strange):
    strange.sendall(message([3, "board", [9, "board:1"], None]))
    assert answered(strange) == 0
    with tracker_connection(tracker) as thief:
        thief.recv(4, socket.MSG_WAITALL)
        thief.settimeout(10)
        thief.sendall(message([3, "board", [10, "board:1"], None]))
        assert thief.recv(1) == b""
    assert tracker_client.summary(tracker).queues["board"].free == 1


def test_a_match_key_stays_its_device_s_after_it_was_taken():
    scheduler, taken = Scheduler(), []
    scheduler.put(Offer("one", "board", "a", 1, "board:1"))
    scheduler.request("board", 1, "client", lambda offer: taken.append(offer) is None)
    with pytest.raises(DuplicateError, match="'board:1' is another device's"):
        scheduler.put(Offer("two", "board", "b", 1, "board:1"))
    scheduler.put(Offer("one", "board", "a", 1, "board:1"))
    scheduler.forget("one")
    scheduler.put(Offer("two", "board", "b", 1, "board:1"))
    assert [offer.owner for offer in taken] == ["one"]
