"""An artifact that disagrees is written only if asked for, and then says so wherever it is shown."""

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from rpc.formats.artifact_facts import read_artifact as read_facts
from rpc.measuring import reference_samples
from rpc.measuring.device_tables import verified_text
from schedules.errors import UserError
from tvm_bnn.artifacts.artifact import read_artifact
from tvm_bnn.artifacts.runtime import Model
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.compile.reporting.report_table import print_report
from tvm_bnn.report.page import page


class Signs(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(10, 32))

    def forward(self, x):
        return nn.functional.linear(torch.sign(x), torch.sign(self.weight))


@pytest.fixture
def spoilt(monkeypatch):
    """Answer something else from now on."""

    def spoil(wrong):
        run = Model.run
        monkeypatch.setattr(Model, "run", lambda self, inputs: [wrong(array) for array in run(self, inputs)])

    return spoil


def compiled(folder, **options):
    return compile_model(Signs(), (torch.zeros(1, 32),), output=folder / "model.so", **options)


def test_wrong_answers_are_refused_and_an_older_artifact_survives(tmp_path, spoilt):
    before = compiled(tmp_path).path.read_bytes()
    spoilt(np.negative)
    with pytest.raises(UserError, match=r"only 0 of 16 samples agree .* --accept-unverified writes it all the same"):
        compiled(tmp_path)
    assert (tmp_path / "model.so").read_bytes() == before


def test_what_is_accepted_says_so_in_the_manifest_and_in_every_table(tmp_path, spoilt, capsys):
    spoilt(np.negative)
    made = compiled(tmp_path, accept_unverified=True)
    said = "only 0 of 16 samples agree with PyTorch"
    assert read_artifact(made.path)[0].unverified.startswith(said)
    assert read_facts(made.path).facts.unverified.startswith(said)
    assert made.report.unverified.startswith(said)
    print_report(made.report)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"NOT VERIFIED accepted all the same: {said}" in printed
    assert "16 wrong" in printed
    html = page(made.report, [])
    assert html.count("only 0 of 16 samples agree with PyTorch") == 2
    # A device has to answer what this artifact does, which is not what its reference does.
    samples = reference_samples.read(reference_samples.beside(made.path))
    np.testing.assert_array_equal(samples.expected[0][:1], made_of(made)(samples.inputs[0][:1]))


def made_of(made):
    return Model(read_artifact(made.path)[0], made.path)


def test_the_table_of_devices_says_so_too(tmp_path, spoilt):
    spoilt(np.negative)
    unverified = read_facts(compiled(tmp_path, accept_unverified=True).path).facts.unverified

    class Record(msgspec.Struct):
        agreement: object
        unverified: str

    text = verified_text(Record(None, unverified))
    assert text.startswith("NO, accepted all the same: only 0 of 16 samples agree")
    assert verified_text(Record(None, "")) == "no: not asked for"


def test_what_is_verified_says_nothing(tmp_path, capsys):
    made = compiled(tmp_path, accept_unverified=True)
    assert (read_artifact(made.path)[0].unverified, made.report.unverified) == ("", "")
    print_report(made.report)
    assert "NOT VERIFIED" not in capsys.readouterr().out
    assert "NOT VERIFIED" not in page(made.report, [])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_not_finite_are_never_accepted(tmp_path, spoilt, value):
    spoilt(lambda array: np.full_like(array, value))
    with pytest.raises(UserError, match="16 of 16 samples have outputs that are not finite"):
        compiled(tmp_path, accept_unverified=True)
    assert not (tmp_path / "model.so").exists()


def test_trouble_alone_is_refused_by_the_name_of_the_inputs(tmp_path, spoilt):
    # PyTorch's sums are even and small; only what is black gives zeros alone.
    spoilt(lambda array: array if array.any() else array + 1)
    with pytest.raises(UserError, match=r"that are black \(max .* 32 signs of an exact zero\).*--sign-zero plus"):
        compiled(tmp_path)
    made = compiled(tmp_path, accept_unverified=True)
    assert made.report.parity.passed
    assert "inputs that are black" in made.report.unverified
