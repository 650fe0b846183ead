"""Several emulated boards at one tracker, used as real ones are; skipped where there is no emulator."""

import subprocess
import sys
import time

import msgspec
import pytest

from rpc.boards import emulation
from rpc.boards.emulated_boards import emulated_boards, emulated_key, server_command
from rpc.measuring.device_measurement import Plan, candidate, measure_on_device
from rpc.sessions.session import Board
from rpc.tracking import tracker_client
from rpc.tracking.local_tracker import local_tracker, wait_for_devices
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.target import find_target

BOARDS = ("rpi3", "rpi4")


@pytest.fixture(scope="module")
def lab():
    missing = emulation.prepare("aarch64")
    if missing is not None or host.machine() == "aarch64":
        pytest.skip(missing or "this machine is a 64-bit ARM itself")
    with local_tracker() as tracker, emulated_boards([*BOARDS, "rpi4"], tracker, None, ["--ping-ms", "500"]):
        wait_for_devices(tracker, [emulated_key(board) for board in (*BOARDS, "rpi4")])
        yield tracker


@pytest.fixture(scope="module")
def artifacts(artifact_for, tmp_path_factory):
    folder = tmp_path_factory.mktemp("emulated")
    return {board: artifact_for(folder / f"{board}.so", find_target(board)) for board in BOARDS}


def test_they_say_what_they_are(lab):
    found = [
        (device.key, device.facts.emulated, device.facts.machine) for device in tracker_client.summary(lab).devices
    ]
    assert found == [
        ("emulated-rpi3", "cortex-a53", "aarch64"),
        ("emulated-rpi4", "cortex-a72", "aarch64"),
        ("emulated-rpi4", "cortex-a72", "aarch64"),
    ]


@pytest.mark.parametrize("board", BOARDS)
def test_they_answer_as_the_reference_and_no_time_of_theirs_is_shown(lab, artifacts, board, capsys):
    from rpc.measuring.device_tables import print_boards, print_records

    (record,) = measure_on_device(
        lab, emulated_key(board), [candidate(artifacts[board])], Plan(repeats=2, profile=True)
    )
    assert record.agreement.agreeing == record.agreement.samples == 5
    assert record.board.emulated
    assert record.peak_memory_bytes is None
    assert record.energy is None
    print_records([record, record])
    print_boards([record])
    shown = capsys.readouterr().out
    assert "none: emulated" in shown
    assert not any(f" {unit}" in shown for unit in ("ns", "µs", "ms", "MB"))
    assert "%" not in shown.replace("100.00%", "")


def test_an_artifact_for_this_machine_is_refused(lab, artifact):
    with pytest.raises(UserError, match=r"'sums\.so' is for x86_64 \(native\), the device is aarch64"):
        measure_on_device(lab, "emulated-rpi4", [candidate(artifact)], Plan(repeats=1))


def test_features_are_those_of_the_emulated_processor(lab):
    with Board(tracker_client.request(lab, "emulated-rpi3", 30), 60) as board:
        assert board.facts.features.split() == ["asimd"]
        assert msgspec.structs.asdict(board.facts)["model"] == "emulated cortex-a53"


def test_the_servers_end_with_the_command(lab):
    command = [sys.executable, "-m", "rpc", "emulate", "--board", "rpi5", "--no-secret", "--tracker", str(lab)]
    with subprocess.Popen(command) as process:
        wait_for_devices(lab, ["emulated-rpi5"])
        process.terminate()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and "emulated-rpi5" in tracker_client.summary(lab).queues:
        time.sleep(0.1)
    assert "emulated-rpi5" not in tracker_client.summary(lab).queues


def test_this_machine_is_not_emulated():
    with pytest.raises(UserError, match=f"this machine is a {host.machine()} itself; use 'python -m rpc serve'"):
        server_command("native", tracker_client.Address("127.0.0.1", 1))


def test_a_board_that_nobody_knows_is_refused():
    with pytest.raises(UserError, match="target 'rpi99' is not known"):
        server_command("rpi99", tracker_client.Address("127.0.0.1", 1))
