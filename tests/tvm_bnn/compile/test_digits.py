"""The embedded network, end to end: what ``make demo`` shows."""

import zipfile

import msgspec
import numpy as np
import pytest
import torch

import tvm_bnn
from rpc.boards import emulation
from schedules.machines.target import TARGETS, native
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.compile.reporting.compilation_report import Report
from tvm_bnn.front_ends.torch_model.program import read_program
from tvm_bnn.verifying.sample_files import digits_samples
from tvm_bnn.zoo.digits import DIGITS


@pytest.fixture(scope="module")
def samples():
    return digits_samples()


@pytest.fixture(scope="module")
def pytorch_logits(samples):
    module = read_program(DIGITS).module()
    with torch.no_grad():
        return np.concatenate([module(torch.from_numpy(image[None])).numpy() for image in samples.arrays[0]])


def test_pytorch_gets_at_least_97_percent_right(samples, pytorch_logits):
    assert (pytorch_logits.argmax(1) == samples.labels).mean() >= 0.97


def test_the_model_file_is_at_most_about_a_megabyte():
    assert (DIGITS).stat().st_size <= 1_000_000


def test_the_model_file_names_no_folder_of_whoever_trained_it():
    with zipfile.ZipFile(DIGITS) as archive:
        assert not any(b"site-packages" in archive.read(name) for name in archive.namelist())


def test_the_compiled_model_predicts_what_pytorch_does(digits, samples, pytorch_logits):
    model = tvm_bnn.load(digits.path)
    logits = np.concatenate([model(image[None]) for image in samples.arrays[0]])
    np.testing.assert_array_equal(logits.argmax(1), pytorch_logits.argmax(1))
    np.testing.assert_allclose(logits, pytorch_logits, atol=digits.report.parity.tolerance)


@pytest.mark.parametrize("name", [target.name for target in TARGETS if target.runs_here])
def test_every_target_that_runs_here_agrees(tmp_path, name, samples):
    compiled = compile_model(DIGITS, target=name, output=tmp_path / "digits.so", samples=samples)
    assert compiled.report.parity.agreeing == compiled.report.parity.samples == 360
    assert compiled.report.parity.argmax_agreement == 1


def test_every_binarized_layer_runs_on_bits_and_the_others_say_why(digits):
    rows = {row.name: row for row in digits.report.layers}
    floats = {name for name, row in rows.items() if not row.binary}
    assert floats == {"stem.0", "head"}
    assert all("many values" in rows[name].reason for name in floats)
    assert all(row.kernel.startswith("bconv2d/") for row in rows.values() if row.binary)
    assert rows["blocks.2.shortcut.1.0"].weight_shape == (64, 1, 1, 32)
    assert digits.report.binary_macs / digits.report.macs > 0.99


def test_between_the_bottlenecks_layers_only_bits_cross_memory(digits, tmp_path):
    compile_model(DIGITS, output=tmp_path / "d.so", verify=False, dump_ir=tmp_path / "ir")
    (last,) = (tmp_path / "ir").glob("*_schedule_kernels.py")
    dumped = last.read_text()
    (call,) = [
        line
        for line in dumped.splitlines()
        if "layer_bottleneck__reduce__0 =" in line or "layer_bottleneck__reduce__0:" in line
    ]
    assert f'dtype="{native().isa.word_dtype}"' in call
    assert "float32" not in call


def test_weights_shrink_and_the_float_ones_are_gone(digits):
    program = read_program(DIGITS)
    data = digits.path.read_bytes()
    for row in digits.report.layers:
        if row.binary:
            weight = program.state_dict[f"{row.name}.weight"].detach().numpy()
            for layout in (weight, weight.transpose(0, 2, 3, 1), weight.transpose(2, 3, 1, 0)):
                assert np.ascontiguousarray(layout).tobytes()[:64] not in data, row.name
            assert row.bytes_after * 4 < row.bytes_before
    assert len(data) < digits.report.float_bytes


def test_the_report_lies_beside_the_artifact(digits):
    stored = msgspec.json.decode(digits.path.with_suffix(".report.json").read_bytes(), type=Report)
    assert stored == digits.report


def test_the_report_measures_both_sides_in_turns(digits):
    latency = digits.report.latency
    assert len(latency.compiled.samples_ns) == len(latency.reference.samples_ns) == 50
    assert latency.threads == 1


def test_compiling_twice_gives_the_same_bytes(digits, tmp_path):
    again = compile_model(DIGITS, output=tmp_path / "digits.so", verify=False)
    assert again.path.read_bytes() == digits.path.read_bytes()


def test_the_arm_artifact_predicts_the_same_under_emulation(tmp_path, samples):
    missing = emulation.prepare("aarch64")
    if missing is not None:
        pytest.skip(missing)
    compiled = compile_model(DIGITS, target="arm", output=tmp_path / "digits.so", samples=samples)
    parity = compiled.report.parity
    assert parity.executed == "under emulation"
    assert parity.agreeing == parity.samples == 360
    assert parity.argmax_agreement == 1
    assert compiled.report.accuracy >= 0.97
    assert compiled.report.latency is None
    assert "board" in compiled.report.not_measured


@pytest.mark.parametrize("name", ["rpi3", "rpi5", "neoverse-v1"])
def test_arm_boards_get_an_artifact_without_a_system_toolchain(tmp_path, name):
    compiled = compile_model(DIGITS, target=name, output=tmp_path / "digits.so", verify=False)
    header = compiled.path.read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    assert int.from_bytes(header[18:20], "little") == 183  # EM_AARCH64
