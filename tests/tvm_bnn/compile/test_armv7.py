"""32-bit ARM, whole models: what stands between a layer's sums and the next sign, where many sums are zero."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from schedules.machines.target import find_target
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.verifying.execution import not_executable

TARGET = find_target("armv7")


class SignConv(nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(x.sign(), self.weight.sign(), None)


class SignLinear(nn.Linear):
    def forward(self, x):
        return functional.linear(x.sign(), self.weight.sign())


class Between(nn.Module):
    """Two binary layers, and what stands between them."""

    def __init__(self, function, channels, extent):
        super().__init__()
        self.stem = nn.Conv2d(3, 40, 3, padding=1)
        self.first = SignConv(40, channels, 3, padding=1, bias=False)
        self.function = function
        self.last = SignLinear(channels * extent * extent, 10, bias=False)

    def forward(self, x):
        return self.last(self.function(self.first(self.stem(x))).flatten(1))


#: Extent of an image of 8 pixels afterwards, and the function.
FUNCTIONS = {
    "sums": (8, lambda x: x),
    "scaled sums": (8, lambda x: x * -0.3),
    "rectified": (8, torch.relu),
    "pooled": (4, lambda x: functional.max_pool2d(x, 2)),
    "added to themselves, moved": (8, lambda x: x + x.transpose(2, 3)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_zeros_before_a_sign_are_zeros(name, tmp_path):
    missing = not_executable(TARGET)
    if missing is not None:
        pytest.skip(missing)
    torch.manual_seed(0)
    extent, function = FUNCTIONS[name]
    model = Between(function, 24, extent).eval()
    report = compile_model(model, [torch.randn(1, 3, 8, 8)], target=TARGET, output=tmp_path / "m.bnn").report
    assert sum(max(layer.bit_planes) > 0 for layer in report.layers) == 2
