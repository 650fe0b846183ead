"""A model on several boards, and the samples by which devices are verified."""

import subprocess
import sys

import msgspec
import numpy as np
import pytest

from rpc.boards import emulation
from rpc.formats.artifact_facts import read_artifact
from rpc.measuring import reference_samples
from rpc.measuring.records import DeviceRecord
from schedules.errors import UserError
from schedules.files.record_file import read
from schedules.machines import host
from tvm_bnn.artifacts.artifact import read_artifact as read_whole
from tvm_bnn.lab import main


def test_the_compiler_writes_samples_beside_the_artifact(digits):
    artifact = read_artifact(digits.path)
    samples = reference_samples.read(reference_samples.beside(digits.path))
    assert len(samples.inputs[0]) == len(samples.expected[0]) == 360
    assert samples.tolerance == pytest.approx(digits.report.parity.tolerance)
    assert len(reference_samples.batches(samples, artifact)) == 360


def test_what_devices_need_to_know_is_what_the_manifest_says(digits):
    manifest, library = read_whole(digits.path)
    artifact = read_artifact(digits.path)
    assert artifact.library == library
    for name in artifact.facts.__struct_fields__:
        mine, theirs = getattr(artifact.facts, name), getattr(manifest, name)
        if isinstance(mine, tuple) and isinstance(mine[0], msgspec.Struct):
            for a, b in zip(mine, theirs, strict=True):
                assert {f: getattr(a, f) for f in a.__struct_fields__} == {
                    f: getattr(b, f) for f in a.__struct_fields__
                }
        else:
            assert mine == theirs, name


def test_other_answers_than_the_reference_are_counted(digits):
    artifact = read_artifact(digits.path)
    samples = reference_samples.read(reference_samples.beside(digits.path))
    outputs = [[answer[None]] for answer in samples.expected[0].copy()]
    assert reference_samples.compare(outputs, samples, artifact).agreeing == 360
    outputs[7][0][0, 3] = 1e9
    assert reference_samples.compare(outputs, samples, artifact).agreeing == 359
    outputs[7][0][0, 3] = np.nan
    with pytest.raises(UserError, match="1 numbers on the device are not finite where the reference's are"):
        reference_samples.compare(outputs, samples, artifact)


def test_two_emulated_boards_give_the_same_predictions(tmp_path, capsys):
    missing = emulation.prepare("aarch64")
    if missing is not None or host.machine() == "aarch64":
        pytest.skip(missing or "this machine is a 64-bit ARM itself")
    assert main(["--record", str(tmp_path / "lab.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert shown.count("same prediction for 100.00%") == 2
    assert shown.count("none: emulated") == 2
    records = read(tmp_path / "lab.jsonl", DeviceRecord)
    assert [record.key for record in records] == ["emulated-rpi3", "emulated-rpi4"]
    assert all(record.board.emulated and record.agreement.samples == 360 for record in records)


def test_an_emulated_32_bit_board_gives_the_same_predictions(tmp_path, capsys):
    missing = emulation.no_emulator("armv7l")
    if missing is not None:
        pytest.skip(missing)
    assert main(["--board", "rpi2", "--record", str(tmp_path / "lab.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "same prediction for 100.00%" in shown
    assert "none: emulated" in shown
    (record,) = read(tmp_path / "lab.jsonl", DeviceRecord)
    assert (record.key, record.board.machine, record.agreement.samples) == ("emulated-rpi2", "armv7l", 360)


def test_a_lab_without_a_tracker_is_an_error_in_one_line(capsys):
    assert main(["--tracker", "nowhere:x"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: address 'nowhere:x'")


def test_help_comes_without_tvm():
    code = (
        "import sys, tvm_bnn.lab\ntry: tvm_bnn.lab.main(['--help'])\nexcept SystemExit: assert 'tvm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
