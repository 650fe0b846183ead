"""Models of half and double precision, computed in float32."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.export import Dim

import tvm_bnn
from schedules.errors import UserError
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.compile.reporting.report_table import print_report
from tvm_bnn.front_ends.torch_model.adapting.precision import in_float32
from tvm_bnn.front_ends.torch_model.export import export_module
from tvm_bnn.front_ends.torch_model.reference import TorchReference


class Binary(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(torch.sign(x), torch.sign(self.weight) * self.weight.abs().mean(1, keepdim=True))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Linear(10, 40)
        self.norm = nn.BatchNorm1d(40)
        self.body = Binary(40, 6, bias=False)

    def forward(self, x):
        return self.body(self.norm(self.stem(x)))


class Insists(Block):
    """Names its type wherever that can be done."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype
        self.lifted = torch.full((6,), 0.1, dtype=dtype)

    def forward(self, x):
        y = super().forward(x.to(self.dtype).float().to(self.dtype))
        offset = torch.zeros(6, dtype=self.dtype) + torch.full_like(y, 0.5, dtype=self.dtype) + self.lifted
        return torch.softmax(y + offset.type(self.dtype), 1, dtype=self.dtype)


class Mixed(Block):
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = super().forward(x)
        return y.float()


class ReadsBits(Block):
    def forward(self, x):
        return super().forward(x) + (x.view(torch.int16) > 0).sum()


LOW = [torch.float16, torch.bfloat16, torch.float64]


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("made", [lambda _: Block(), Insists])
def test_what_is_compiled_is_the_same_model_in_float32(tmp_path, capsys, dtype, made):
    module = made(dtype).eval().to(dtype)
    compiled = compile_model(module, (torch.randn(4, 10, dtype=dtype),), output=tmp_path / "model.so")
    same = made(torch.float32).eval()
    same.load_state_dict(module.state_dict())
    if hasattr(same, "lifted"):
        same.lifted = module.lifted.float()
    model = tvm_bnn.load(compiled.path)
    assert [spec.dtype for spec in (*model.manifest.inputs, *model.manifest.outputs)] == ["float32", "float32"]
    x = torch.randn(4, 10)
    with torch.no_grad():
        torch.testing.assert_close(model(x), same(x), rtol=1e-4, atol=1e-4)
    report = compiled.report
    assert [(row.name, row.binary) for row in report.layers] == [("stem", False), ("body", True)]
    assert report.float_bytes == sum(value.nbytes for value in module.state_dict().values())
    (note,) = report.notes
    assert str(dtype).removeprefix("torch.") in note
    print_report(report)
    assert "note" in capsys.readouterr().out


@pytest.mark.parametrize("dtype", LOW)
def test_the_model_keeps_its_type_and_its_weights(tmp_path, dtype):
    module = Insists(dtype).to(dtype).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x = torch.randn(4, 10, dtype=dtype)
    kept = x.clone()
    compile_model(module, (x,), output=tmp_path / "model.so", verify=False)
    after = module.state_dict()
    assert module.training
    assert all(after[name].dtype == value.dtype and torch.equal(after[name], value) for name, value in before.items())
    assert module.lifted.dtype == dtype
    assert torch.equal(x, kept)


@pytest.mark.parametrize("dtype", LOW)
def test_a_saved_program_of_a_dynamic_batch(tmp_path, dtype):
    program = torch.export.export(
        Block().eval().to(dtype), (torch.randn(4, 10, dtype=dtype),), dynamic_shapes=({0: Dim("batch")},)
    )
    torch.export.save(program, tmp_path / "model.pt2")
    stored = (tmp_path / "model.pt2").read_bytes()
    report = compile_model(tmp_path / "model.pt2", batch=2, output=tmp_path / "model.so").report
    assert report.parity.passed
    assert [row.name for row in report.layers] == ["stem", "body"]
    assert report.notes
    assert (tmp_path / "model.pt2").read_bytes() == stored


def test_mixed_precision_is_computed_in_float32(tmp_path):
    module = Mixed().eval()
    report = compile_model(module, (torch.randn(4, 10),), output=tmp_path / "model.so").report
    assert "bfloat16" in report.notes[0]
    assert [row.binary for row in report.layers] == [False, True]
    x = torch.randn(4, 10)
    with torch.no_grad():
        expected = Block.forward(module, x)
    torch.testing.assert_close(tvm_bnn.load(tmp_path / "model.so")(x), expected, rtol=1e-4, atol=1e-4)


class RoundTrips(Block):
    def forward(self, x):
        return super().forward(x.half().float().half())


@pytest.mark.parametrize("made", [Block, RoundTrips])
def test_float64_remains_the_yardstick_for_rounding(made):
    module = made().eval().half()
    program, _ = in_float32(export_module(module, (torch.randn(2, 10).half(),)))
    (outputs,) = TorchReference(program).run_double([[np.ones((2, 10), np.float32)]])
    assert outputs[0].dtype == np.float64


def test_float32_models_are_left_as_they_are(tmp_path):
    class Careful(Block):
        def forward(self, x):
            return super().forward(x.double().float())

    program = export_module(Careful().eval(), (torch.randn(2, 10),))
    same, notes = in_float32(program)
    assert same is program
    assert notes == ()


def test_reading_the_bits_of_a_half_precision_number_is_refused():
    program = export_module(ReadsBits().eval().half(), (torch.randn(2, 10).half(),))
    with pytest.raises(UserError, match=r"reads the bits of a float16 number \(view\(dtype\)\)"):
        in_float32(program)
