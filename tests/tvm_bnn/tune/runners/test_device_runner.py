"""A board that measures: here a server process of TVM's own, which can be killed and started again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest

from rpc.boards.board_server import PROGRAM, board_server
from rpc.tracking.local_tracker import local_tracker
from schedules.errors import UserError
from schedules.machines import host
from tvm_bnn.tune.runners import device_runner
from tvm_bnn.tune.runners.device_runner import DeviceRunner
from tvm_bnn.tune.runners.tracker import address_of, await_device
from tvm_bnn.tune.searching.database import entries
from tvm_bnn.tune.searching.session import tune

pytestmark = pytest.mark.skipif(host.machine() != "x86_64", reason="the candidates are for x86")
KEY, NATIVE = "board", "native"


def start(module, *options):
    command = [sys.executable, "-m", f"tvm.exec.{module}", "--host", "127.0.0.1", *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def stop(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start_tracker():
    port = free_port()
    return start("rpc_tracker", "--port", str(port), "--port-end", str(port + 1)), ("127.0.0.1", port)


@pytest.fixture(scope="module")
def tracker():
    process, address = start_tracker()
    yield address
    stop(process)


def start_board(tracker, key=KEY):
    port = free_port()
    place = ("--port", str(port), "--port-end", str(port + 1))
    return start("rpc_server", *place, "--key", key, "--tracker", f"{tracker[0]}:{tracker[1]}")


@pytest.fixture(scope="module")
def board(tracker):
    process = start_board(tracker)
    await_device(KEY, tracker, 60)
    yield process
    stop(process)


@pytest.fixture(scope="module")
def native_board(tracker, tmp_path_factory):
    """This project's own server, which forks for each session."""
    words = ("--key", NATIVE, "--tracker", f"{tracker[0]}:{tracker[1]}", "--ping-ms", "200")
    program, folder = board_server(host.machine()) / PROGRAM, tmp_path_factory.mktemp("board")
    process = subprocess.Popen(
        [str(program), *words, "--folder", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    await_device(NATIVE, tracker, 60)
    yield process
    process.kill()
    process.wait()


def modules(candidates):
    return [candidate.schedule.mod for candidate in candidates[:2]]


def test_a_board_times_and_settles(task, target, tracker, board, candidates):
    made = DeviceRunner(target, KEY, tracker)
    assert all(measured.seconds for measured in made.measure(task, modules(candidates)))
    assert all(settled.exact and settled.seconds > 0 for settled in made.settle(task, modules(candidates)))


def test_a_board_that_asks_for_the_lab_s_secret_times_and_settles(task, target, candidates, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"of the lab")
    words = ("--key", KEY, "--secret-file", str(secret), "--folder", str(tmp_path), "--ping-ms", "200")
    with local_tracker(secret=secret) as place:
        command = [str(board_server(host.machine()) / PROGRAM), "--tracker", str(place), *words]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                runner = DeviceRunner(target, KEY, (place.host, place.port), secret=b"of the lab")
                assert all(
                    settled.exact and settled.seconds > 0 for settled in runner.settle(task, modules(candidates))
                )
                with pytest.raises(UserError, match="asks for a secret"):
                    DeviceRunner(target, KEY, (place.host, place.port), patience_s=0.1).measure(
                        task, modules(candidates)
                    )
            finally:
                process.kill()


def test_a_candidate_that_crashes_its_session_is_a_failure_and_the_next_is_timed(
    task, target, tracker, native_board, candidates, crashing
):
    crash, works = modules(candidates)
    failed, measured = DeviceRunner(target, NATIVE, tracker).measure(task, [crashing(crash), works])
    assert failed.failure
    assert measured.seconds
    assert native_board.poll() is None


def test_a_candidate_that_takes_the_server_with_it_ends_the_run_in_one_line(
    task, target, tracker, candidates, crashing
):
    """TVM's own server ends when a session crashes."""
    process = start_board(tracker, "fragile")
    runner = DeviceRunner(target, "fragile", tracker, patience_s=3)
    candidate = crashing(modules(candidates)[0])
    try:
        await_device("fragile", tracker, 60)
        with pytest.raises(UserError, match="device 'fragile': not registered with the tracker") as caught:
            runner.measure(task, [candidate])
        assert "\n" not in str(caught.value)
    finally:
        stop(process)


def test_a_candidate_that_hangs_on_the_board_is_a_failure_and_the_next_is_timed(
    task, target, tracker, board, candidates, hanging, monkeypatch
):
    monkeypatch.setattr(device_runner, "_TRANSFER_S", 20.0)
    hangs, works = modules(candidates)
    failed, measured = DeviceRunner(target, KEY, tracker, timeout_s=20).measure(task, [hanging(hangs), works])
    assert failed.failure
    assert measured.seconds


def test_a_wrong_result_of_the_board_is_found(task, target, tracker, board, candidates, wrong):
    right, other = modules(candidates)
    settled = DeviceRunner(target, KEY, tracker).settle(task, [right, wrong(other)])
    assert [result.exact for result in settled] == [True, False]
    assert settled[1].failure == "it computes something else than the layer"


def test_a_board_that_reboots_in_mid_run_is_waited_for(task, target, tracker, candidates, tmp_path, monkeypatch):
    key = "rebooting"
    boards = [start_board(tracker, key)]
    await_device(key, tracker, 60)
    time_it = device_runner._time

    def reboot_once(path, task, session):
        if not (tmp_path / "once").exists():
            (tmp_path / "once").touch()
            os.killpg(boards[0].pid, signal.SIGKILL)
        return time_it(path, task, session)

    def start_again(*arguments):
        if (tmp_path / "once").exists() and len(boards) == 1:
            boards[0].wait()
            boards.append(start_board(tracker, key))
        return await_device(*arguments)

    monkeypatch.setattr(device_runner, "_time", reboot_once)
    monkeypatch.setattr(device_runner, "await_device", start_again)
    try:
        made = DeviceRunner(target, key, tracker, patience_s=60).measure(task, modules(candidates)[:1])
        assert [measured.failure for measured in made] == [""]
        assert len(boards) == 2
    finally:
        for process in boards:
            stop(process)


def test_a_board_that_is_gone_ends_the_run_in_one_line_and_keeps_the_log(task, target, tracker, plan):
    key = "unplugged"
    process = start_board(tracker, key)
    await_device(key, tracker, 60)
    rounds = []

    def unplug(seen):
        rounds.append(seen)
        stop(process)

    with pytest.raises(UserError, match=f"device '{key}': not registered with the tracker"):
        tune([task], DeviceRunner(target, key, tracker, patience_s=5), plan, {}, unplug, pytest.fail)
    assert len(rounds) == 1
    assert len(entries(plan.folder, pytest.fail)) == rounds[0].measured


def test_a_tracker_that_dies_in_mid_run_ends_the_run_in_one_line_and_keeps_the_log(task, target, plan):
    dying, address = start_tracker()
    process = start_board(address)
    rounds = []

    def kill(seen):
        rounds.append(seen)
        stop(dying)

    try:
        await_device(KEY, address, 60)
        with pytest.raises(UserError, match=r"tracker '127.0.0.1:\d+': no answer") as caught:
            tune([task], DeviceRunner(target, KEY, address, patience_s=2), plan, {}, kill, pytest.fail)
        assert "the same command continues" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(rounds) == 1
        assert len(entries(plan.folder, pytest.fail)) == rounds[0].measured
    finally:
        stop(process)
        stop(dying)


def test_a_tracker_that_is_gone_is_named_with_what_would_do(task, target, candidates):
    address = ("127.0.0.1", free_port())
    with pytest.raises(UserError, match=r"tracker '127.0.0.1:\d+': no answer .*'python -m rpc tracker'") as caught:
        DeviceRunner(target, KEY, address, patience_s=0.1).measure(task, modules(candidates))
    assert "\n" not in str(caught.value)


def test_an_address_without_a_port_is_refused():
    with pytest.raises(UserError, match="expected host:port"):
        address_of("localhost")
