"""What users bring, and what they are told if it cannot be compiled."""

import numpy as np
import pytest
import torch
from torch import nn

from schedules.errors import UserError
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.front_ends.torch_model import program as torch_program
from tvm_bnn.front_ends.torch_model.export import export_module


def complaint_of(function, *arguments, **options):
    with pytest.raises(UserError) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Sign(nn.Module):
    def forward(self, x):
        return torch.sign(x)


class BinaryLinear(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(torch.sign(x), torch.sign(self.weight), self.bias)


class BinaryConv2d(nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(torch.sign(x), torch.sign(self.weight), self.bias)


def binary_mlp():
    torch.manual_seed(0)
    return nn.Sequential(BinaryLinear(40, 64), nn.BatchNorm1d(64), nn.Hardtanh(), BinaryLinear(64, 7)).eval()


def compiled_agrees(module, x, tmp_path, **options):
    """Compile, run and compare on ``x`` itself; return the report."""
    import tvm_bnn

    compiled = compile_model(module, (x,), output=tmp_path / "model.so", **options)
    with torch.no_grad():
        expected = module(x)
    np.testing.assert_allclose(tvm_bnn.load(compiled.path)(x).numpy(), expected.numpy(), rtol=1e-4, atol=1e-4)
    return compiled.report


def test_a_module_in_memory_compiles_and_is_left_as_it_was(tmp_path):
    module = binary_mlp().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x = torch.randn(3, 40)
    compile_model(module, (x,), output=tmp_path / "model.so")
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    report = compiled_agrees(module.eval(), x, tmp_path)
    assert [row.binary for row in report.layers] == [True, True]
    assert [row.kernel.split("/")[0] for row in report.layers] == ["bdense", "bdense"]


def vgg_block(channels):
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        BinaryConv2d(channels, channels, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(channels),
        BinaryConv2d(channels, 2 * channels, 3, stride=2, padding=1),
        nn.PReLU(),
        nn.Flatten(),
        nn.Linear(2 * channels * 16, 5),
    )


@pytest.mark.parametrize("channels", [16, 33])
def test_pools_biases_prelu_and_flatten(tmp_path, channels):
    torch.manual_seed(1)
    module = vgg_block(channels).eval()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, -1, 1)
            nn.init.normal_(norm.running_mean)
    report = compiled_agrees(module, torch.randn(2, 3, 16, 16), tmp_path)
    assert [row.binary for row in report.layers] == [False, True, True, False]


def test_grouped_and_dilated_convolutions(tmp_path):
    torch.manual_seed(2)
    module = nn.Sequential(
        BinaryConv2d(24, 24, 3, padding=2, dilation=2, groups=2), nn.BatchNorm2d(24), BinaryConv2d(24, 24, 3, groups=24)
    ).eval()
    report = compiled_agrees(module, torch.randn(1, 24, 9, 9), tmp_path)
    assert all(row.binary for row in report.layers)


def test_several_inputs_and_outputs(tmp_path):
    import tvm_bnn

    class TwoInTwoOut(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = BinaryLinear(8, 4, bias=False)

        def forward(self, a, b):
            y = self.layer(a) + b
            return y, torch.relu(b)

    module, inputs = TwoInTwoOut().eval(), (torch.randn(2, 8), torch.randn(2, 4))
    compiled = compile_model(module, inputs, output=tmp_path / "model.so")
    results = tvm_bnn.load(compiled.path)(*inputs)
    for result, expected in zip(results, module(*inputs), strict=True):
        torch.testing.assert_close(result, expected.detach())


def test_layers_carry_their_paths_in_the_model(tmp_path):
    module = nn.Sequential(nn.Sequential(BinaryLinear(8, 8)), BinaryLinear(8, 8)).eval()
    compiled = compile_model(module, (torch.randn(1, 8),), output=tmp_path / "model.so", verify=False)
    assert [row.name for row in compiled.report.layers] == ["0.0", "1"]


def test_a_shared_layer_is_numbered(tmp_path):
    layer = BinaryLinear(8, 8)
    module = nn.Sequential(layer, layer).eval()
    compiled = compile_model(module, (torch.randn(1, 8),), output=tmp_path / "model.so", verify=False)
    assert len({row.name for row in compiled.report.layers}) == 2


def test_signs_that_separate_names_are_none_of_a_layers_name(tmp_path):
    names = ("a | b", "c+1", "d@0", "e~2")
    module = nn.Sequential()
    for name in names:
        module.add_module(name, BinaryLinear(8, 8))
    compiled = compile_model(module.eval(), (torch.randn(1, 8),), output=tmp_path / "model.so", verify=False)
    assert [row.name for row in compiled.report.layers] == ["a _ b", "c_1", "d_0", "e_2"]


def test_layers_side_by_side_share_the_bytes_of_their_kernel(tmp_path):
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = BinaryLinear(64, 32), BinaryLinear(64, 96)

        def forward(self, x):
            return torch.cat([self.left(x), self.right(x)], dim=1)

    torch.manual_seed(0)
    module = Beside().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    report = compile_model(module, (torch.randn(4, 64),), output=tmp_path / "model.so").report
    left, right = report.layers
    assert (left.name, right.name) == ("left", "right")
    assert {use.layer for use in report.kernels} == {"", "left | right"}
    assert left.kernel == right.kernel
    # A bit for each weight, and what goes with each channel.
    assert left.bytes_after > 64 * 32 // 8
    assert right.bytes_after == 3 * left.bytes_after


def test_no_binary_layer_tells_what_was_looked_at(tmp_path):
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6), Sign(), nn.Linear(6, 6)
    module = nn.Sequential(*layers).eval()
    text = complaint_of(compile_model, module, (torch.randn(1, 3, 6, 6),), output=tmp_path / "model.so")
    assert "has no binary layer among its 3" in text
    assert "'0': its input takes many values" in text
    assert "'5': its weights take more than a few values" in text
    assert "channel 0 holds 6 different values" in text
    assert not list(tmp_path.iterdir())


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_a_module_that_branches_on_its_data():
    text = complaint_of(compile_model, Branching(), (torch.tensor([1.0, 2.0, 3.0]),))
    assert "Branching branches on its data at" in text
    assert "test_program.py:" in text


class Conditional(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))


def test_a_graph_that_branches_on_its_data(tmp_path):
    program = torch.export.export(Conditional(), (torch.randn(3),))
    torch.export.save(program, tmp_path / "branch.pt2")
    assert "data-dependent control flow (torch.cond)" in complaint_of(compile_model, tmp_path / "branch.pt2")


class Unknown(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Heaviside()
        self.layer = BinaryLinear(8, 8)

    def forward(self, x):
        return self.layer(self.inner(x))


class Heaviside(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


def test_an_operator_that_tvm_does_not_know_is_named_with_its_module():
    text = complaint_of(compile_model, Unknown().eval(), (torch.randn(1, 8),))
    assert "special_bessel_j0" in text
    assert "module 'inner'" in text


def test_files_that_are_no_models(tmp_path):
    assert "no such file" in complaint_of(compile_model, tmp_path / "absent.pt2")
    text_file = tmp_path / "text.pt2"
    text_file.write_text("hello")
    assert "is not a .pt2 file" in complaint_of(compile_model, text_file)
    torch.save(binary_mlp().state_dict(), tmp_path / "weights.pth")
    assert "is a checkpoint" in complaint_of(compile_model, tmp_path / "weights.pth")
    torch.save({"a": 1}, tmp_path / "archive.pt2")
    assert "is a checkpoint" in complaint_of(compile_model, tmp_path / "archive.pt2")


def test_a_module_without_example_inputs():
    assert "pass example_inputs" in complaint_of(compile_model, binary_mlp())


def test_constants_are_folded_by_pytorch_itself():
    class Standardized(nn.Linear):
        def forward(self, x):
            weight = (self.weight - self.weight.mean(1, keepdim=True)) / self.weight.std(1, keepdim=True)
            return nn.functional.linear(torch.sign(x), torch.sign(weight))

    module = Standardized(8, 4, bias=False).eval()
    weights = module.weight.detach().clone()
    program = export_module(module, (torch.randn(1, 8),))
    imported = torch_program.import_program(program)
    script = imported.module.script()
    assert "std" not in script
    assert "R.variance" not in script
    assert torch.equal(module.weight, weights)


def test_exact_zeros_that_reach_a_sign_are_counted(tmp_path):
    module = nn.Sequential(nn.ReLU(), BinaryLinear(40, 4, bias=False)).eval()
    x = np.abs(np.random.default_rng(0).standard_normal((1, 40))).astype(np.float32)
    from tvm_bnn.verifying.samples import Samples

    report = compile_model(
        module, (torch.from_numpy(x),), output=tmp_path / "m.so", samples=Samples((x,), "positive numbers")
    ).report
    assert (report.parity.zero_signs, report.parity.signs) == (0, 40)
    assert report.parity.inputs == "positive numbers"


class Colliding(nn.Module):
    """Names that could be taken for each other's, for an input's or for the compiler's own."""

    def __init__(self):
        super().__init__()
        self.x = BinaryLinear(8, 8)
        self.x1 = BinaryLinear(8, 8)
        self.lv = nn.Sequential(BinaryLinear(8, 8))
        self.lv_0 = BinaryLinear(8, 8)

    def forward(self, x):
        return self.lv_0(self.lv(self.x1(torch.relu(self.x(torch.relu(x))))))


def test_layers_of_any_name_are_found_again(tmp_path):
    report = compiled_agrees(Colliding().eval(), torch.randn(2, 8), tmp_path)
    assert [row.name for row in report.layers] == ["x", "x1", "lv.0", "lv_0"]
    assert all(row.binary and row.kernel.startswith("bdense/") for row in report.layers)


class SignsMoved(nn.Module):
    """A binary layer whose signs go through something that only moves values."""

    def __init__(self, move):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.weight = nn.Conv2d(3, 32, 3, padding=1), nn.Parameter(torch.randn(16, 32, 3, 3))
        self.move = move

    def forward(self, x):
        return nn.functional.conv2d(self.move(self.stem(x)), torch.sign(self.weight))


@pytest.mark.parametrize(
    "move",
    [
        lambda x: nn.functional.pad(x.sign(), (1, 1, 1, 1), mode="replicate"),
        lambda x: nn.functional.pad(x.sign(), (1, 1, 1, 1), mode="reflect"),
        lambda x: nn.functional.pad(x.sign(), (1, 1, 1, 1), mode="circular"),
        lambda x: nn.functional.interpolate(x.sign(), scale_factor=2, mode="nearest"),
        lambda x: torch.roll(x.sign().flip(3), 1, 2),
        lambda x: torch.copysign(torch.ones_like(x), x),
        lambda x: torch.heaviside(x, torch.tensor(0.0)),
    ],
    ids=["replicate", "reflect", "circular", "nearest", "roll and flip", "copysign", "heaviside"],
)
def test_signs_stay_signs_however_they_are_moved(move, tmp_path):
    report = compile_model(SignsMoved(move), (torch.randn(1, 3, 8, 8),), output=tmp_path / "model.so").report
    assert [row.binary for row in report.layers] == [False, True]
    assert report.parity.agreeing == report.parity.samples
