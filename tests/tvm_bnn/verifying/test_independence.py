"""Several batches run one after the other only where each sample is answered by itself."""

import pytest
import torch
from torch import nn

import tvm_bnn
from schedules.errors import UserError
from tvm_bnn.artifacts.artifact import TensorSpec
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.front_ends.torch_model.export import capture
from tvm_bnn.front_ends.torch_model.reference import TorchReference
from tvm_bnn.verifying.independence import are_independent


class Net(nn.Module):
    def __init__(self, mixes):
        super().__init__()
        self.weight, self.place = nn.Parameter(torch.randn(8, 8)), nn.Parameter(torch.randn(8, 8))
        self.mixes = mixes

    def forward(self, x):
        return self.mixes(self, nn.functional.linear(x.sign(), self.weight.sign()))


APART = [lambda net, y: y, lambda net, y: y.softmax(1), lambda net, y: y.view(y.shape[0], -1) * 2]
TOGETHER = [
    lambda net, y: y.cumsum(0),
    lambda net, y: y - y.mean(0, keepdim=True),
    lambda net, y: y * y.abs().mean(),
    lambda net, y: y + net.place[: y.shape[0]],
    lambda net, y: y.flip(0),
    lambda net, y: y.softmax(0),
    lambda net, y: y @ (y.T @ y),
    lambda net, y: torch.cat([y[:1], y[:-1]]),
]


def independent(mixes, batch, is_file):
    torch.manual_seed(0)
    captured = capture(Net(mixes), (torch.randn(batch, 8),))
    reference = TorchReference(captured.program, original=None if is_file else captured.original)
    spec = (TensorSpec("x", (batch, 8), "float32"),)
    return are_independent(reference, spec, spec, None)


@pytest.mark.parametrize("is_file", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("mixes", APART)
def test_samples_that_are_answered_by_themselves_are_independent(mixes, batch, is_file):
    assert independent(mixes, batch, is_file)


@pytest.mark.parametrize(("batch", "is_file"), [(1, False), (3, False), (3, True)])
@pytest.mark.parametrize("mixes", TOGETHER)
def test_samples_that_others_or_their_place_change_are_not(mixes, batch, is_file):
    assert not independent(mixes, batch, is_file)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_loaded_model_refuses_several_batches_of_samples_that_depend_on_each_other(batch, tmp_path):
    torch.manual_seed(0)
    net = Net(TOGETHER[0])
    path = compile_model(net, (torch.randn(batch, 8),), output=tmp_path / "m.so", verify=False).path
    model = tvm_bnn.load(path)
    assert not model.manifest.independent_samples
    x = torch.randn(2 * batch, 8)
    with torch.no_grad():
        torch.testing.assert_close(model(x[:batch]), net(x[:batch]))
    with pytest.raises(UserError, match=f"has {2 * batch} samples; .* so it takes {batch} at a time"):
        model(x)
