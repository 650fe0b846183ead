"""Programs that are called by keyword, hold numbers that are none, or remember."""

import pytest
import torch
from torch import nn

from schedules.errors import UserError
from tvm_bnn.front_ends.torch_model.checks.calls import refuse_unusual_calls
from tvm_bnn.front_ends.torch_model.checks.numbers import refuse_bad_numbers
from tvm_bnn.front_ends.torch_model.checks.state import without_state


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("unused", torch.full((2,), torch.nan))

    def forward(self, x, y=None):
        return self.norm(x if y is None else x + y)


class ByKeyword(Net):
    def forward(self, *, x):
        return self.norm(x)


class Nested(Net):
    def forward(self, given):
        return self.norm(given["x"] if isinstance(given, dict) else given[0])


X = torch.randn(2, 4)


def exported(net, *args, **kwargs):
    return torch.export.export(net.eval(), args, kwargs)


@pytest.mark.parametrize(
    ("net", "args", "kwargs", "named"),
    [
        (ByKeyword, (), {"x": X}, "takes 'x' by keyword"),
        (Net, (X,), {"y": X}, "takes 'y' by keyword"),
        (Nested, ({"x": X},), {}, "input number 0 is a dict"),
        (Nested, ((X, X),), {}, "input number 0 is a tuple"),
    ],
)
def test_unusual_calls_are_refused_by_name(net, args, kwargs, named):
    with pytest.raises(UserError, match=named):
        refuse_unusual_calls(exported(net(), *args, **kwargs), "net")


def test_tensors_by_position_are_usual():
    refuse_unusual_calls(exported(Net(), X, X), "net")


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("norm.running_var", -1.0, "is a variance, and below zero in 1 of 4"),
        ("norm.running_var", torch.nan, "is NaN in 1 of 4"),
        ("norm.running_mean", torch.nan, "is NaN"),
        ("norm.weight", torch.nan, "is NaN"),
    ],
)
def test_bad_numbers_are_refused_by_parameter(name, value, fault):
    net = Net()
    net.state_dict()[name][2] = value
    with pytest.raises(UserError, match=f"'{name}' {fault}"):
        refuse_bad_numbers(exported(net, X), "net")


def test_negative_means_and_what_is_not_read_are_fine():
    net = Net()
    net.norm.running_mean[:] = -1
    refuse_bad_numbers(exported(net, X), "net")


class Counts(Net):
    def __init__(self, used):
        super().__init__()
        self.used = used

    def forward(self, x):
        self.count.add_(1)
        return self.norm(x) * torch.where(self.count > 1000, 0.0, 1.0) if self.used else self.norm(x)


class Overwrites(Net):
    """Writes the same into its weight each time."""

    def forward(self, x):
        self.norm.weight.copy_(self.norm.weight.sign())
        return self.norm(x)


@pytest.mark.parametrize(("net", "name"), [(Counts(False), "count"), (Overwrites(), "norm.weight")])
def test_state_that_no_answer_depends_on_is_dropped_and_named(net, name):
    net.norm.weight.requires_grad_(False)
    with torch.no_grad():
        program = exported(net, X).run_decompositions()
    assert len(program.graph_signature.output_specs) == 2
    program, dropped = without_state(program)
    assert dropped == (name,)
    assert len(program.graph_signature.output_specs) == 1


def test_state_that_an_answer_may_depend_on_one_day_is_refused():
    with torch.no_grad(), pytest.raises(UserError, match="forward changes 'count', and its next answer"):
        without_state(exported(Counts(True), X).run_decompositions())
