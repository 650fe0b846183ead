"""Programs that were exported with a dynamic batch, compiled for one."""

import pytest
import torch
from torch import nn
from torch.export import Dim

import tvm_bnn
from schedules.errors import UserError
from tvm_bnn.compile import command as compile  # noqa: A004  (the command is called that)
from tvm_bnn.compile.compiler import compile_model


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Sequential(nn.BatchNorm2d(3), nn.Identity())
        self.weight = nn.Parameter(torch.randn(5, 48))

    def forward(self, x, y):
        x = self.inner(x)
        rows = x.view(x.shape[0], -1)
        return nn.functional.linear(torch.sign(rows), torch.sign(self.weight)) + y + x.new_zeros(y.size(0), 5)


class Pairs(nn.Linear):
    def forward(self, x, pairs):
        return nn.functional.linear(torch.sign(x), torch.sign(self.weight)) + pairs.reshape(x.shape[0], -1)


class Embeds(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 8)
        self.layer = nn.Linear(8, 4)

    def forward(self, tokens):
        return nn.functional.linear(torch.sign(self.table(tokens)), torch.sign(self.layer.weight)).mean(1)


def inputs(batch):
    return torch.randn(batch, 3, 4, 4), torch.randn(batch, 5)


def exported(tmp_path, module, example, *dynamic):
    path = tmp_path / "dynamic.pt2"
    torch.export.save(torch.export.export(module.eval(), example, dynamic_shapes=dynamic), path)
    return path


def complaint_of(function, *arguments, **options):
    with pytest.raises(UserError) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dimension", [Dim("batch"), Dim("batch", min=2, max=8), Dim.DYNAMIC, Dim.AUTO])
@pytest.mark.parametrize("batch", [None, 3])
def test_a_dynamic_batch_becomes_the_one_that_is_asked_for(tmp_path, dimension, batch):
    module = Net().eval()
    path = exported(tmp_path, module, inputs(4), {0: dimension}, {0: dimension})
    compiled = compile_model(path, batch=batch, output=tmp_path / "model.so")
    model = tvm_bnn.load(compiled.path)
    assert [spec.shape[0] for spec in (*model.manifest.inputs, *model.manifest.outputs)] == [batch or 1] * 3
    assert [row.binary for row in compiled.report.layers] == [True]
    given = inputs(6)
    with torch.no_grad():
        torch.testing.assert_close(model(*given), module(*given), rtol=1e-4, atol=1e-4)


def test_the_command_takes_a_batch(tmp_path):
    path = exported(tmp_path, Net(), inputs(4), {0: Dim.DYNAMIC}, {0: Dim.DYNAMIC})
    assert compile.main([str(path), "--batch", "2", "--no-verify", "-o", str(tmp_path / "model.so")]) == 0
    assert tvm_bnn.load(tmp_path / "model.so").manifest.inputs[0].shape == (2, 3, 4, 4)


def test_extents_that_depend_on_the_batch_follow(tmp_path):
    batch = Dim("batch")
    path = exported(
        tmp_path, Pairs(8, 6, bias=False), (torch.randn(4, 8), torch.randn(8, 3)), {0: batch}, {0: 2 * batch}
    )
    compile_model(path, batch=3, output=tmp_path / "model.so")
    specs = tvm_bnn.load(tmp_path / "model.so").manifest.inputs
    assert [spec.shape for spec in specs] == [(3, 8), (6, 3)]


@pytest.mark.parametrize("batch", [1, 7])
def test_integers_that_came_with_the_program_are_cut_or_repeated(tmp_path, batch):
    path = exported(tmp_path, Embeds(), (torch.arange(20).reshape(4, 5) % 10,), {0: Dim.DYNAMIC})
    report = compile_model(path, batch=batch, output=tmp_path / "model.so").report
    assert report.parity.samples == 16 * batch
    assert report.parity.passed


def test_a_batch_outside_the_exported_range_is_refused(tmp_path):
    dimension = Dim("batch", min=4, max=8)
    path = exported(tmp_path, Net(), inputs(5), {0: dimension}, {0: dimension})
    for batch, asked in ((None, 1), (3, 3), (9, 9)):
        text = complaint_of(compile_model, path, batch=batch)
        assert f"was exported for batches from 4 to 8, not {asked}: choose one with --batch" in text
    assert "batch 0: at least one sample" in complaint_of(compile_model, path, batch=0)


def test_a_static_model_has_one_batch(tmp_path):
    path = exported(tmp_path, Net(), inputs(4))
    assert "'dynamic' is fixed to batch 4, not 2" in complaint_of(compile_model, path, batch=2)
    assert compile_model(path, batch=4, output=tmp_path / "model.so", verify=False)
    assert "is fixed to batch 4, not 1" in complaint_of(compile_model, Net().eval(), inputs(4), batch=1)


def test_other_dynamic_dimensions_are_named(tmp_path):
    image = nn.Conv2d(3, 4, 3)
    dynamic = {0: Dim("batch"), 2: Dim("height", min=4), 3: Dim("width", min=4)}
    text = complaint_of(compile_model, exported(tmp_path, image, (torch.randn(2, 3, 8, 9),), dynamic))
    assert "input 'input' has a dynamic shape (s" in text
    assert "export with dimension 2, 3 fixed" in text
    text = complaint_of(compile_model, exported(tmp_path, image, (torch.randn(2, 3, 8, 9),), {3: Dim("width", min=4)}))
    assert "export with dimension 3 fixed" in text


def test_a_second_dynamic_batch_is_refused(tmp_path):
    class Both(nn.Module):
        def forward(self, x, y):
            return x.sum(0), y

    path = exported(tmp_path, Both(), (torch.randn(2, 3), torch.randn(5, 3)), {0: Dim("a")}, {0: Dim("b")})
    assert "only one dimension, the batch" in complaint_of(compile_model, path)
