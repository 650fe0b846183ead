"""Operators that TVM's importer lacks or mistranslates: they agree with PyTorch, and their products are layers."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import tvm_bnn
from tvm_bnn.compile.compiler import compile_model


class Spelled(nn.Module):
    """A function of inputs and of weights."""

    def __init__(self, function, **weights):
        super().__init__()
        self.function = function
        for name, shape in weights.items():
            setattr(self, name, nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(1))))

    def forward(self, *inputs):
        return self.function(self, *inputs)


class LastState(nn.Module):
    def __init__(self, recurrent):
        super().__init__()
        torch.manual_seed(0)
        self.recurrent, self.head = recurrent(16, 64, batch_first=True), nn.Parameter(torch.randn(10, 64))

    def forward(self, x):
        return functional.linear(self.recurrent(x)[0][:, -1].sign(), self.head.sign())


def compiled(module, shapes, tmp_path, **options):
    """Compile, and compare on other inputs than those of the verification; return the report."""
    generator = torch.Generator().manual_seed(2)
    inputs = tuple(torch.randn(shape, generator=generator) for shape in shapes)
    report = compile_model(module.eval(), inputs, output=tmp_path / "model.so", **options).report
    model = tvm_bnn.load(tmp_path / "model.so")
    with torch.no_grad():
        expected = module(*inputs)
    np.testing.assert_allclose(np.asarray(model(*inputs)), expected.numpy(), rtol=1e-4, atol=1e-4)
    return report


@pytest.mark.parametrize(
    ("function", "weights", "shapes"),
    [
        pytest.param(lambda s, x: s.w.sign() @ x.sign(), {"w": (10, 32)}, [(32,)], id="matrix times vector"),
        pytest.param(lambda s, x: x.sign() @ s.w.sign(), {"w": (32,)}, [(2, 3, 32)], id="rows times vector"),
        pytest.param(lambda s, x: x.sign() @ s.w.sign(), {"w": (32,)}, [(32,)], id="vector times vector"),
        pytest.param(
            lambda s, x: functional.linear(functional.linear(x.sign(), s.w.sign()).sign(), s.w.sign()),
            {"w": (32, 32)},
            [(32,)],
            id="linear layers of a vector",
        ),
        pytest.param(
            lambda s, x, y: functional.bilinear(x.sign(), y.sign(), s.w.sign()),
            {"w": (6, 32, 16)},
            [(5, 32), (5, 16)],
            id="bilinear",
        ),
        pytest.param(
            lambda s, x: functional.linear((x - x.amax(-1, keepdim=True) + x.amin((0, 1))).sign(), s.w.sign()),
            {"w": (10, 32)},
            [(3, 32)],
            id="amax and amin",
        ),
        pytest.param(
            lambda s, x: functional.linear((x - x.max(1, keepdim=True)[0] + x.min(1)[0][:, None]).sign(), s.w.sign()),
            {"w": (10, 32)},
            [(3, 32)],
            id="max and min without their indices",
        ),
        pytest.param(
            lambda s, x: functional.linear(x[:, -1].sign() + 0 * x[:, -2], s.w.sign()),
            {"w": (10, 32)},
            [(3, 4, 32)],
            id="the last of a sequence",
        ),
    ],
)
def test_a_spelling_is_right_and_on_bits(function, weights, shapes, tmp_path):
    report = compiled(Spelled(function, **weights), shapes, tmp_path)
    assert report.layers
    assert all(row.binary for row in report.layers)


@pytest.mark.parametrize(
    ("recurrent", "sign_zero"),
    # Of large inputs the gates of a GRU are ends of their ranges, and states exact zeros: what their sign is, is said.
    [(nn.LSTM, "exact"), (nn.GRU, "plus")],
)
def test_the_last_state_of_a_recurrent_layer(recurrent, sign_zero, tmp_path):
    report = compiled(LastState(recurrent), [(2, 5, 16)], tmp_path, sign_zero=sign_zero)
    names = [row.name for row in report.layers]
    assert (names[0], names[1], names[-1]) == ("recurrent.weight_ih_l0", "recurrent.weight_hh_l0", "head")
    assert all(name.startswith("recurrent.weight_hh_l0#") for name in names[2:-1])
    assert report.layers[-1].binary


def test_the_indices_of_a_maximum_are_not_made_up(tmp_path):
    module = Spelled(lambda s, x: functional.linear(x.sign(), s.w.sign()).max(1)[1], w=(10, 32))
    assert compiled(module, [(3, 32)], tmp_path).layers[0].binary


def test_layers_of_one_forward_are_called_after_their_parameters(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(8, 16), nn.Linear(16, 4)
            self.mix, self.alpha = nn.Parameter(torch.randn(4, 5)), nn.Parameter(torch.rand(5))
            self.inner = nn.Sequential(nn.Linear(5, 5), nn.ReLU())

        def forward(self, x):
            x = functional.linear(x.sign(), self.fc1.weight.sign(), self.fc1.bias)
            x = functional.linear(x.sign(), self.fc2.weight.sign() * self.fc2.weight.abs().mean())
            return self.inner(x.sign() @ (self.mix.sign() * self.alpha))

    torch.manual_seed(0)
    report = compiled(Net(), [(2, 8)], tmp_path)
    assert [row.name for row in report.layers] == ["fc1", "fc2", "mix", "inner.0"]


def test_a_module_of_one_layer_lends_it_its_path_and_one_of_several_does_not(tmp_path):
    class Layer(nn.Module):
        def __init__(self, twice):
            super().__init__()
            self.twice = twice
            self.weights, self.more = nn.Parameter(torch.randn(8, 8)), nn.Parameter(torch.randn(8, 8))

        def forward(self, x):
            x = x.sign() @ self.weights.sign()
            return x.sign() @ self.more.sign() if self.twice else x

    torch.manual_seed(0)
    report = compiled(nn.Sequential(Layer(False), Layer(True)), [(2, 8)], tmp_path)
    assert [row.name for row in report.layers] == ["0", "1.weights", "1.more"]
