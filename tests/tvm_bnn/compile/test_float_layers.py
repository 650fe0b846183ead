"""Float layers on bytes, end to end: another model by choice, and the report says so."""

import numpy as np
import pytest
import torch

import tvm_bnn
from rpc.boards import emulation
from schedules.errors import UserError
from schedules.kernels.narrow import int8
from schedules.machines.dot import bf16_dot_of
from schedules.machines.target import TARGETS, find_target
from tvm_bnn.compile import compiler
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.compile.reporting.report_table import print_report
from tvm_bnn.verifying.sample_files import digits_samples
from tvm_bnn.zoo.digits import DIGITS

HERE = [target.name for target in TARGETS if target.runs_here]


@pytest.fixture(scope="module")
def narrowed(tmp_path_factory):
    output = tmp_path_factory.mktemp("int8") / "digits.so"
    return compile_model(DIGITS, output=output, samples=digits_samples(), float_layers="int8")


@pytest.mark.parametrize("name", HERE)
def test_digits_are_recognised_within_a_point_of_pytorch(tmp_path, name):
    output = tmp_path / "digits.so"
    report = compile_model(DIGITS, target=name, output=output, samples=digits_samples(), float_layers="int8").report
    assert report.accuracy >= report.reference_accuracy - 0.01
    assert report.parity.argmax_agreement >= 0.98


def test_on_arm_the_dot_product_gives_the_same(tmp_path):
    missing = emulation.prepare("aarch64")
    if missing is not None:
        pytest.skip(missing)
    output = tmp_path / "digits.so"
    report = compile_model(DIGITS, target="rpi5", output=output, samples=digits_samples(), float_layers="int8").report
    assert report.parity.executed == "under emulation"
    assert report.accuracy >= report.reference_accuracy - 0.01


def test_the_float_layers_run_in_int8_and_the_others_as_ever(narrowed, digits):
    ours, exact = ({row.name: row for row in compiled.report.layers} for compiled in (narrowed, digits))
    for name, row in ours.items():
        if name in {"stem.0", "head"}:
            assert row.precision == "int8"
            assert "_int8/" in row.kernel
            assert exact[name].precision == "fp32"
        else:
            assert row == exact[name]
            assert row.precision == "bits"


def test_the_report_says_that_it_is_not_exact_and_by_how_much(narrowed, digits, capsys):
    print_report(narrowed.report)
    printed = " ".join(capsys.readouterr().out.split())
    assert "not exact, by choice (float layers in int8): relative L2 error" in printed
    assert "by PyTorch" in printed
    print_report(digits.report)
    assert "by choice" not in capsys.readouterr().out
    assert narrowed.report.parity.relative_error > 1e-3 > digits.report.parity.relative_error


def test_without_the_choice_the_artifact_is_what_it_was(digits, tmp_path):
    same = compile_model(DIGITS, output=tmp_path / "digits.so", verify=False, float_layers="fp32")
    assert same.path.read_bytes() == digits.path.read_bytes()


def test_a_target_without_the_instruction_is_told_what_int8_is_good_for(tmp_path):
    report = compile_model(DIGITS, target="rpi4", output=tmp_path / "d.so", verify=False, float_layers="int8").report
    assert any("smaller, not faster" in note for note in report.notes)


def test_kernels_that_are_wrong_are_refused_though_nobody_asks_for_exactness(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "relay_passes.pack.narrow_float_layers.quantized_weight",
        lambda weight: (np.ones(len(weight), np.float32), np.full(weight.shape, int8.LARGEST, np.int8)),
    )
    with pytest.raises(UserError, match="not exact by choice, but a relative L2 error of"):
        compile_model(DIGITS, output=tmp_path / "d.so", samples=digits_samples(), float_layers="int8")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["native", "neoverse-v1"])
def test_bf16_is_closer_than_int8_where_there_is_an_instruction_for_it(tmp_path, name, narrowed):
    target = find_target(name)
    if bf16_dot_of(target.tvm, target.isa) is None:
        pytest.skip("this machine multiplies no bfloat16")
    if (missing := None if target.runs_here else emulation.prepare(target.machine)) is not None:
        pytest.skip(missing)
    output = tmp_path / "digits.so"
    report = compile_model(DIGITS, target=name, output=output, samples=digits_samples(), float_layers="bf16").report
    assert {row.precision for row in report.layers} == {"bits", "bf16"}
    assert report.accuracy >= report.reference_accuracy - 0.01
    assert 1e-4 < report.parity.relative_error < narrowed.report.parity.relative_error


def test_bf16_is_refused_where_nothing_multiplies_it(tmp_path):
    with pytest.raises(UserError, match="target 'rpi4' has no instruction that multiplies it"):
        compile_model(DIGITS, target="rpi4", output=tmp_path / "d.so", float_layers="bf16")


def test_a_precision_that_nobody_knows_is_refused(tmp_path):
    with pytest.raises(UserError, match="float layers in 'fp4'"):
        compiler.compile_model(DIGITS, output=tmp_path / "d.so", float_layers="fp4")


class Tokens(torch.nn.Module):
    """A float layer on rows of rows, a stem of odd sizes, and a binary layer between."""

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 21, 5, 2, (2, 1), bias=True)
        self.body = torch.nn.Conv2d(21, 16, 3, padding=1, bias=False)
        self.body.weight.data.sign_()
        self.head = torch.nn.Linear(16, 7)

    def forward(self, x):
        y = self.body(torch.where(self.stem(x) >= 0, 1.0, -1.0))
        return self.head(y.flatten(2).transpose(1, 2))


def test_batches_and_rows_each_have_a_scale_of_their_own(tmp_path):
    torch.manual_seed(0)
    network = Tokens().eval()
    x = torch.randn(2, 3, 17, 13) * torch.tensor([1.0, 1000.0]).reshape(2, 1, 1, 1)
    compiled = compile_model(network, (x,), output=tmp_path / "m.so", verify=False, float_layers="int8")
    found = tvm_bnn.load(compiled.path)(x.numpy())
    expected = network(x).detach().numpy()
    for ours, theirs in zip(found, expected, strict=True):
        assert np.linalg.norm(ours - theirs) < 0.25 * np.linalg.norm(theirs)
