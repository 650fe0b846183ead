"""What tracing loses is kept, or refused by the line, the buffer or the module at fault; the rest is let be."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from schedules.errors import UserError
from tvm_bnn.front_ends.module_copy import copied
from tvm_bnn.front_ends.torch_model.export import capture


class Net(nn.Module):
    """A binary layer, and everything that a forward pass may read or write."""

    def __init__(self, forward):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 8))
        self.other = nn.Parameter(torch.randn(4, 8))
        self.plain = torch.randn(4, 8)
        self.held = [torch.randn(4, 8)]
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("mean", torch.zeros(8))
        self.calls = 0
        self._forward = forward

    def forward(self, *inputs):
        return self._forward(self, *inputs)

    def binary(self, x):
        return nn.functional.linear(x.sign(), self.weight.sign())


def captured(forward, *inputs):
    torch.manual_seed(0)
    net = Net(forward).eval()
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    found = capture(net, inputs or (torch.randn(2, 8),))
    assert all(torch.equal(value, kept[name]) for name, value in net.state_dict().items())
    return found, net


def complaint_of(forward, *inputs):
    with pytest.raises(UserError) as caught:
        captured(forward, *inputs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


WRITTEN = {
    "a plain attribute": lambda net: net.plain,
    "a list": lambda net: net.held[0],
    "another parameter": lambda net: net.other.data,
    "itself": lambda net: net.weight.data,
}
SPELLED = {
    "sign": lambda value: value.sign(),
    "where": lambda value: torch.where(value > 0, 1.0, -1.0),
    "scaled": lambda value: value.sign() * value.abs().mean() * 0 + value.sign(),
}


@settings(max_examples=6)
@given(st.sampled_from(list(WRITTEN)), st.sampled_from(list(SPELLED)), st.booleans())
def test_a_write_through_data_takes_effect_whatever_it_reads(source, spelling, writes_input):
    def forward(net, x):
        net.weight.data = SPELLED[spelling](WRITTEN[source](net))
        if writes_input:
            x.data = x.data.sign()
        return nn.functional.linear(x, net.weight)

    found, net = captured(forward)
    x = torch.randn(2, 8)
    weight = SPELLED[spelling](WRITTEN[source](net)).detach()
    expected = (x.sign() if writes_input else x) @ weight.T
    with torch.no_grad():
        torch.testing.assert_close(found.program.module()(x.clone()), expected)


def test_views_from_before_a_write_keep_the_old_numbers():
    def forward(net, x):
        doubled = 2 * x
        flat = doubled.view(-1)
        doubled.data = doubled.data.sign()
        return net.binary(doubled), flat

    found, net = captured(forward)
    x = torch.randn(2, 8)
    with torch.no_grad():
        binary, flat = found.program.module()(x)
        torch.testing.assert_close(flat, 2 * x.flatten())
        torch.testing.assert_close(binary, net.binary(x))


def test_one_tensor_given_twice_stands_for_two_inputs():
    x = torch.randn(2, 8)
    for inputs in ((x, x), (x, x.view(2, 8)), (x[:1], x[1:])):
        found, net = captured(lambda net, u, v: net.binary(u) - 2 * net.binary(v), *inputs)
        u, v = (torch.randn_like(value) for value in inputs)
        with torch.no_grad():
            torch.testing.assert_close(found.program.module()(u, v), net(u, v))


def picked_by_time(net, x, t):
    return net.binary(x + net.plain[max(0, min(3, int(t[0] * 5 / 2000)))])


def picked_by_a_median(net, x):
    return net.binary(x - float(np.median(x.detach().numpy())))


@pytest.mark.parametrize(
    ("forward", "inputs"),
    [
        (picked_by_time, (torch.randn(2, 8), torch.full((1,), 100.0))),
        (picked_by_time, (torch.randn(2, 8), torch.full((1,), 100))),
        (lambda net, x: net.binary(x) if x.mean() > 3 else -net.binary(x), ()),
        (lambda net, x: net.binary(x) if x.abs().max() > 1e5 else -net.binary(x), ()),
        (lambda net, x: -net.binary(x) if (x == 0).all() else net.binary(x), ()),
        (lambda net, x: net.binary(x) * [1.0, 2.0][int(x.tolist()[0][0] > 0)], ()),
        (picked_by_a_median, ()),
    ],
)
def test_a_branch_on_the_data_is_refused_by_file_and_line(forward, inputs):
    text = complaint_of(forward, *inputs)
    assert f"branches on its data at {__file__}:" in text
    assert "torch.where" in text


def test_a_branch_that_only_the_samples_of_the_check_take_is_refused_there():
    found, _ = captured(lambda net, x: net.binary(x) if float(x[0, 0]) == 0.123 else -net.binary(x))
    x = torch.randn(2, 8)
    found.original.checked([x])
    x[0, 0] = 0.123
    found.original.checked([x])  # 0.123 is no float32
    found, _ = captured(lambda net, x: net.binary(x) if float(x[0, 0]) == 0.125 else -net.binary(x))
    x[0, 0] = 0.125
    with pytest.raises(UserError, match=r"branches on its data at .*test_capture\.py"):
        found.original.checked([x])


def gradient_scale(net, x):
    scaled = x * float(x.abs().max())
    return net.binary((x - scaled).detach() + scaled)


def checks_its_range(net, x):
    if float(x.abs().max()) > 500:
        raise ValueError("too large")
    return net.binary(x)


def logs(net, x):
    if float(x.mean()) > 0:
        net.calls += 1
    return net.binary(x)


@pytest.mark.parametrize(
    "forward",
    [
        gradient_scale,
        checks_its_range,
        logs,
        lambda net, x: net.binary(x) * [1.0, 2.0][int(net.weight.abs().max() > 0)],
        lambda net, x: net.binary(x) * float(np.median(net.weight.detach().numpy())),
    ],
)
def test_scalars_that_are_constants_or_reach_no_answer_are_no_branches(forward):
    found, net = captured(forward)
    x = torch.randn(2, 8)
    with torch.no_grad():
        torch.testing.assert_close(found.program.module()(x), net(x))


def counts(net, x):
    net.count.add_(1)
    return net.binary(x) * net.count


def rebinds(net, x):
    net.count = net.count + 1
    return net.binary(x) + net.count


def counts_calls(net, x):
    net.calls += 1
    return net.binary(x) * net.calls


def moves_its_mean(net, x):
    net.mean.mul_(0.9).add_(0.1 * x.mean(0))
    return net.binary(x - net.mean)


def keeps_the_first_input(net, x):
    if not hasattr(net, "first"):
        net.first = x.mean(0)
    return net.binary(x - net.first)


def halves_its_weight(net, x):
    net.weight.data = net.weight.data / 2
    return net.binary(x) * net.weight.mean()


@pytest.mark.parametrize(
    ("forward", "name"),
    [
        (counts, "count"),
        (rebinds, "count"),
        (counts_calls, "calls"),
        (moves_its_mean, "mean"),
        (keeps_the_first_input, "first"),
        (halves_its_weight, "weight"),
    ],
)
def test_an_answer_that_depends_on_the_one_before_is_refused_by_name(forward, name):
    text = complaint_of(forward)
    assert f"forward changes '{name}'" in text
    assert "has no state" in text


def test_answers_by_chance_are_refused():
    assert "answers differently each time" in complaint_of(
        lambda net, x: net.binary(nn.functional.dropout(x, 0.5, training=True))
    )


def test_inputs_that_are_no_tensors_are_refused():
    with pytest.raises(UserError, match="number 1 is a int; models take tensors only"):
        capture(Net(lambda net, x, y: net.binary(x) * y), (torch.randn(2, 8), 3))


def test_a_copy_keeps_what_is_attached_to_a_tensor():
    net = Net(lambda net, x: nn.functional.linear(x, net.weight.latent.sign()))
    net.weight.latent = torch.randn(4, 8)
    assert torch.equal(copied(net).weight.latent, net.weight.latent)
    assert copied(net).weight.latent is not net.weight.latent


def test_what_is_lost_in_no_way_that_is_known_is_refused_by_module():
    found, _ = captured(lambda net, x: net.binary(x))
    other, _ = captured(lambda net, x: net.binary(x) + 1)
    found.original._exported = other.original._exported
    with pytest.raises(UserError, match=r"program answers otherwise .* they part in the model's own forward"):
        found.original.checked([torch.randn(2, 8)])
