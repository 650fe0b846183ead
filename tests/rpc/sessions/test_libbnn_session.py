"""Devices without TVM: deployed models on this machine's own server and on an emulated 32-bit board."""

import contextlib
import random
import struct

import msgspec
import numpy as np
import pytest

from rpc.boards import emulation
from rpc.boards.board_image import write_board_image
from rpc.boards.board_server import board_server
from rpc.boards.emulated_boards import emulated_boards
from rpc.formats.artifact_facts import read_artifact
from rpc.measuring import reference_samples
from rpc.measuring.device_measurement import Plan, candidate, measure_on_device, open_board
from rpc.sessions.libbnn_session import LibbnnBoard
from rpc.sessions.session import Board
from rpc.tracking import tracker_client
from rpc.tracking.local_tracker import local_tracker, wait_for_devices
from rpc.tracking.tracker_client import Address
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.target import find_target
from tests.rpc.attackers import hostile_call

QUICK = Plan(repeats=3, wait_seconds=20, session_seconds=60)
HOSTILE_CALLS = 5_000


@pytest.fixture(scope="session")
def server_folder():
    return board_server(host.machine(), "libbnn")


@pytest.fixture(scope="module")
def deployed(deployed_artifact_for, tmp_path_factory):
    """(a, b) -> (a + b, -a) as a deployed model for this machine."""
    return deployed_artifact_for(tmp_path_factory.mktemp("deployed") / "sums.so", find_target("native"))


@contextlib.contextmanager
def session(tracker):
    with open_board(tracker_client.request(tracker, "board", 20), 60) as board:
        assert isinstance(board, LibbnnBoard)
        yield board


def test_right_answers_come_first_then_times_then_layers(tracker, offer, deployed):
    offer("board")
    first, second = measure_on_device(
        tracker, "board", [candidate(deployed), candidate(deployed)], Plan(repeats=3, profile=True, threads=2)
    )
    assert (first.agreement.samples, first.agreement.agreeing) == (5, 5)
    assert len(first.samples.samples_ns) == len(second.samples.samples_ns) == 3
    assert all(ns > 0 for ns in first.samples.samples_ns)
    assert [(layer.layer, layer.ns > 0) for layer in first.layers] == [("total", True), ("minus", True)]
    assert first.peak_memory_bytes > 0
    assert (first.board.bnn_format, first.board.tvm_version) == (1, "")


def test_a_wrong_answer_is_not_timed(tracker, offer, deployed, tmp_path):
    offer("board")
    good = reference_samples.read(reference_samples.beside(deployed))
    wrong = msgspec.structs.replace(good, expected=(good.expected[0], good.expected[1] + 1))
    (tmp_path / "wrong.npz").write_bytes(reference_samples.encode(wrong))
    with pytest.raises(UserError, match=r"only 0 of 5 samples on the device agree .* it is not timed"):
        measure_on_device(tracker, "board", [candidate(deployed, tmp_path / "wrong.npz")], QUICK)


def test_inputs_of_another_size_are_refused(tracker, offer, deployed):
    offer("board")
    with session(tracker) as board:
        model = board.load("model.so", read_artifact(deployed).library)
        with pytest.raises(UserError, match="'a' has 12 bytes, not 16"):
            model.set_inputs([np.zeros((1, 4), np.float32)])
        with pytest.raises(UserError, match="input 2: model 'sums' has 2"):
            model.set_inputs([np.zeros((1, 3), np.float32)] * 3)


def test_a_model_that_was_changed_is_refused(tracker, offer, deployed):
    offer("board")
    library = bytearray(read_artifact(deployed).library)
    library[1000] ^= 1
    with (
        session(tracker) as board,
        pytest.raises(UserError, match=r"loading the model failed: .* does not match its hash"),
    ):
        board.load("model.so", bytes(library))


def test_hostile_calls_are_answered_and_leave_the_session_usable(tracker, offer):
    server, rng = offer("board"), random.Random(0)
    with session(tracker) as board:
        for _ in range(HOSTILE_CALLS):
            call = hostile_call(rng)
            board._channel.send(struct.pack("<I", len(call)) + call)
            (length,) = struct.unpack("<I", board._channel.receive(4))
            answer = board._channel.receive(length)
            assert answer[:1] == b"e" or answer == b"n"  # a name and bytes may happen to be an upload
        assert board.read("/proc/loadavg")
    wait_for_devices(tracker, ["board"])
    assert server.poll() is None


@pytest.mark.parametrize("sent", [struct.pack("<I", (1 << 32) - 1), struct.pack("<I", 100) + b"cut short", b"\1"])
def test_a_call_that_is_too_large_or_never_ends_frees_the_device(tracker, offer, sent):
    offer("board", "--session-seconds", "2")
    with session(tracker) as board:
        board._channel.send(sent)
        wait_for_devices(tracker, ["board"], 20)


def test_an_artifact_for_another_runtime_is_refused_before_it_is_uploaded(
    tracker, offer, artifact, deployed_artifact_for, tmp_path, monkeypatch
):
    offer("board")
    newer = deployed_artifact_for(tmp_path / "newer.so", find_target("native"), bnn_format=2)
    monkeypatch.setattr(LibbnnBoard, "load", lambda *_: pytest.fail("it was uploaded"))
    with pytest.raises(UserError, match=r"for TVM's runtime, the device has libbnn of format 1"):
        measure_on_device(tracker, "board", [candidate(artifact)], QUICK)
    with pytest.raises(UserError, match=r"for libbnn of format 2, the device has libbnn of format 1"):
        measure_on_device(tracker, "board", [candidate(newer)], QUICK)


@pytest.fixture(scope="module")
def lab():
    missing = emulation.no_emulator("armv7l")
    if missing is not None:
        pytest.skip(missing)
    with local_tracker() as tracker, emulated_boards(["rpi2", "rpi4-32"], tracker, None, ["--ping-ms", "500"]):
        wait_for_devices(tracker, ["emulated-rpi2", "emulated-rpi4-32"])
        yield tracker


def test_32_bit_boards_say_what_they_are(lab):
    found = [
        (device.facts.machine, device.facts.emulated, device.facts.features, device.facts.bnn_format)
        for device in tracker_client.summary(lab).devices
    ]
    assert found == [("armv7l", "cortex-a7", "neon vfpv4", 1), ("armv7l", "max", "neon vfpv4", 1)]


@pytest.mark.parametrize("board", ["rpi2", "rpi4-32"])
def test_a_32_bit_board_answers_as_the_reference_and_no_time_of_it_is_shown(
    lab, deployed_artifact_for, tmp_path, board, capsys
):
    from rpc.measuring.device_tables import print_devices, print_records

    artifact = deployed_artifact_for(tmp_path / "sums.so", find_target(board))
    (record,) = measure_on_device(lab, f"emulated-{board}", [candidate(artifact)], Plan(repeats=2, profile=True))
    assert record.agreement.agreeing == record.agreement.samples == 5
    assert record.board.emulated
    assert record.peak_memory_bytes is None
    assert [layer.layer for layer in record.layers] == ["total", "minus"]
    print_records([record])
    print_devices(tracker_client.summary(lab))
    shown = capsys.readouterr().out
    assert "none: emulated" in shown
    assert "libbnn 1" in shown
    assert not any(f" {unit}" in shown for unit in ("ns", "µs", "ms", "MB"))


def test_artifacts_for_other_architectures_are_refused_before_they_are_uploaded(
    lab, artifact, deployed, artifact_for, tmp_path, monkeypatch
):
    arm = artifact_for(tmp_path / "arm.so", find_target("native"), machine="aarch64")
    monkeypatch.setattr(LibbnnBoard, "load", lambda *_: pytest.fail("it was uploaded"))
    for path, machine in ((artifact, host.machine()), (deployed, host.machine()), (arm, "aarch64")):
        with pytest.raises(UserError, match=rf"is for {machine} .* the device is armv7l \(emulated cortex-a7\)"):
            measure_on_device(lab, "emulated-rpi2", [candidate(path)], QUICK)


def test_a_32_bit_artifact_is_refused_elsewhere(tracker, offer, deployed_artifact_for, tmp_path, monkeypatch):
    offer("board")
    artifact = deployed_artifact_for(tmp_path / "sums.so", find_target("rpi2"))
    monkeypatch.setattr(Board, "load", lambda *_: pytest.fail("it was uploaded"))
    with pytest.raises(UserError, match=rf"is for armv7l \(rpi2\), the device is {host.machine()}"):
        measure_on_device(tracker, "board", [candidate(artifact)], QUICK)


def test_the_image_for_a_32_bit_board_is_one_small_program(tmp_path):
    size = write_board_image(tmp_path / "image", "rpi2", "rpi2", Address("127.0.0.1", 9190), 9091)
    assert size < 1e6
    names = {file.name for file in (tmp_path / "image").iterdir()}
    assert names == {"board_server", "start.sh", "tvm-bnn-board.service"}
    header = (tmp_path / "image" / "board_server").read_bytes()[:20]
    assert header[:5] == b"\x7fELF\x01"
    assert struct.unpack_from("<H", header, 18) == (40,)  # EM_ARM


def test_a_tuner_that_times_single_kernels_is_told_to_look_elsewhere(tracker, offer):
    from tvm_bnn.tune.runners.tracker import await_device

    offer("board")
    with pytest.raises(UserError, match="device 'board': it runs whole deployed models, by libbnn"):
        await_device("board", (tracker.host, tracker.port), 20)
