"""What the lab of devices says, and what is made of it."""

import json
import subprocess

import msgspec
import pytest

from experiments.tracks import devices, hardware
from experiments.tracks.devices import Board, Device, Measured, decoded, target_for
from schedules.errors import UserError
from schedules.machines import host

RECORD = {
    "artifact": "net.so",
    "key": "rpi4",
    "board": {"machine": "aarch64", "model": "Raspberry Pi 4", "emulated": "", "cores": 4},
    "samples": {"samples_ns": [3.0, 1.0, 2.0], "calls_a_sample": 7},
    "doubts": ["hot"],
}


def test_a_record_is_read_whatever_else_it_says():
    found = decoded(json.dumps(RECORD).encode(), Measured)
    assert found.samples.median_ns == 2.0
    assert (found.board.model, found.doubts) == ("Raspberry Pi 4", ("hot",))


def test_another_record_is_refused():
    with pytest.raises(UserError, match="cannot be read"):
        decoded(b'{"board": 3}', Measured)


def test_a_key_that_is_a_target_is_what_is_compiled_for():
    assert target_for("rpi4", Board("aarch64")) == "rpi4"
    assert target_for("on-the-desk", Board("aarch64")) == "aarch64"
    assert target_for("under-the-desk", Board(host.machine())) == "native"
    with pytest.raises(UserError, match="no target for its machine, 'riscv64'"):
        target_for("new", Board("riscv64"))


def test_times_of_an_emulator_are_no_result(monkeypatch, tmp_path):
    found = msgspec.convert(RECORD | {"board": {"emulated": "cortex-a72"}}, Measured)
    monkeypatch.setattr(hardware, "measure_on", lambda *_: found)
    samples, said = hardware._remotely(Device("rpi4", "rpi4", "host:1"), _Plan(), tmp_path / "net.so")
    assert samples == {}
    assert "emulator plays cortex-a72" in said["not measured"]


def test_a_tracker_that_cannot_be_reached_is_one_line(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, b"", b"error: tracker 'nowhere:1': cannot be reached\n")
    monkeypatch.setattr(devices.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError, match=r"^rpc devices: tracker 'nowhere:1': cannot be reached$"):
        devices.devices("nowhere:1")


class _Plan:
    repeats = 3
