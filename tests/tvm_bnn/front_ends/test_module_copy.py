"""Modules that ``copy.deepcopy`` cannot copy are copied even so, and compile."""

import copy
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional

from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.front_ends.module_copy import copied


class BinaryParameter(nn.Parameter):
    """A parameter that wants its number of bits."""

    def __new__(cls, data, bits):
        made = super().__new__(cls, data)
        made.bits = bits
        return made


class Settings(dict):
    """Answers every attribute with an item, and complains of a missing key."""

    def __getattr__(self, name):
        return self[name]


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = BinaryParameter(torch.randn(10, 32), bits=1)
        self.register_buffer("offset", torch.zeros(32))
        self.settings, self.lock = Settings(slope=1.0), threading.Lock()
        self.inner = nn.ModuleList([nn.Linear(4, 32)])
        self.same = self.inner[0]
        self.plain = [self.w]

    def forward(self, x):
        x = self.inner[0](x) * self.settings.slope + self.offset
        return functional.linear(x.sign(), self.w.sign())


def test_what_deepcopy_refuses_is_copied_with_all_that_it_shares():
    module = Odd()
    with pytest.raises((TypeError, KeyError)):
        copy.deepcopy(module)
    made = copied(module)
    assert type(made.w) is BinaryParameter
    assert made.w.bits == 1
    assert made.w.requires_grad
    assert made.w is not module.w
    assert made.plain[0] is made.w
    assert made.same is made.inner[0]
    assert made.same is not module.same
    with torch.no_grad():
        before = module.w.clone()
        made.w.zero_()
        made.offset.add_(1)
    assert torch.equal(module.w, before)
    assert not module.offset.any()
    assert dict(made.named_parameters()).keys() == dict(module.named_parameters()).keys()


def test_other_modules_are_copied_as_ever():
    module = nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 5))
    made = copied(module)
    assert all(torch.equal(made.state_dict()[name], value) for name, value in module.state_dict().items())
    assert made[0].weight is not module[0].weight


def test_such_a_module_compiles(tmp_path):
    torch.manual_seed(0)
    report = compile_model(Odd().eval(), (torch.randn(2, 4),), output=tmp_path / "odd.so").report
    assert [row.binary for row in report.layers] == [False, True]
    assert report.layers[1].name == "w"
