"""What holds for every binarizer: shapes, groups, dilation, bias, samples by themselves, and few values."""

import math

import pytest
import torch
from torch import nn

from experiments.binarizers.catalog import BINARIZERS, FLOAT, PAPER, find_binarizer
from experiments.binarizers.parts.layer import BinaryLayer, ScaledSigns
from experiments.training.real_weights import real_weights
from schedules.errors import UserError

EVERY = pytest.mark.parametrize("binarizer", [*BINARIZERS, FLOAT], ids=lambda binarizer: binarizer.name)
BINARY = pytest.mark.parametrize("binarizer", BINARIZERS, ids=lambda binarizer: binarizer.name)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def run(module, x):
    with torch.no_grad():
        return module.eval()(x)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


def test_the_eight_of_the_paper_come_first():
    assert PAPER == ("bnn", "xnor", "dorefa", "bireal", "xnor++", "react", "recu", "fda")


def test_names_are_unique_and_found():
    names = [binarizer.name for binarizer in (*BINARIZERS, FLOAT)]
    assert len(set(names)) == len(names)
    assert all(find_binarizer(name).name == name and find_binarizer(name).paper for name in names)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match=r"^binarizer 'bnm': not known; there are bnn, xnor, .*, float$"):
        find_binarizer("bnm")


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(UserError, match=r"conv2d: 6 input and 4 output channels in 4 groups"):
        find_binarizer("bnn").conv2d(6, 4, 3, groups=4)


@EVERY
def test_layers_have_the_shapes_of_pytorchs(binarizer):
    assert run(binarizer.linear(6, 5, bias=True), draw(2, 7, 6)).shape == (2, 7, 5)
    conv1d = binarizer.conv1d(4, 6, 5, stride=2, padding=4, dilation=2, groups=2)
    assert run(conv1d, draw(2, 4, 11)).shape == nn.Conv1d(4, 6, 5, 2, 4, 2, 2)(draw(2, 4, 11)).shape
    conv2d = binarizer.conv2d(4, 6, (3, 1), stride=(1, 2), padding=(1, 0), groups=2, bias=True)
    assert run(conv2d, draw(2, 4, 9, 8)).shape == nn.Conv2d(4, 6, (3, 1), (1, 2), (1, 0), 1, 2)(draw(2, 4, 9, 8)).shape


@EVERY
def test_every_parameter_that_matters_at_inference_gets_a_gradient(binarizer):
    layer = binarizer.conv2d(8, 6, 3, padding=1, bias=True)
    run(layer, draw(4, 8, 5, 5))
    binarizer.on_epoch(layer, 0, 10)
    layer.train()(draw(4, 8, 5, 5)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert layer.weight.grad.abs().max() > 0


@EVERY
def test_a_sample_does_not_depend_on_its_batch(binarizer):
    layer = binarizer.conv2d(4, 6, 3, padding=1)
    x = draw(3, 4, 6, 6)
    whole = run(layer, x)
    torch.testing.assert_close(torch.cat([run(layer, x[i : i + 1]) for i in range(3)]), whole)


@EVERY
def test_the_bias_is_added_as_it_is(binarizer):
    layer = binarizer.conv1d(4, 3, 1, bias=True)
    x = draw(2, 4, 5)
    before = run(layer, x)
    layer.bias.data += torch.tensor([1.0, -2.0, 0.5])
    torch.testing.assert_close(run(layer, x) - before, torch.tensor([1.0, -2.0, 0.5]).view(3, 1).expand(2, 3, 5))


@BINARY
def test_groups_see_their_own_channels_only(binarizer):
    if binarizer.name == "ebnn":
        pytest.skip("its gate looks at all channels")
    layer = binarizer.conv2d(4, 4, 3, padding=1, groups=4)
    x = draw(1, 4, 6, 6)
    if binarizer.name == "horq":
        other = torch.cat([x[:, :3], x[:, 3:].flip(2)], dim=1)  # of the same magnitude: its β is the sample's
    else:
        other = torch.cat([x[:, :3], draw(1, 1, 6, 6, seed=5)], dim=1)
    one, two = run(layer, x), run(layer, other)
    torch.testing.assert_close(one[:, :3], two[:, :3])
    assert not torch.equal(one[:, 3], two[:, 3])


@BINARY
def test_weights_take_as_few_values_as_their_bits_say(binarizer):
    layer = binarizer.conv2d(8, 5, 3)
    assert isinstance(layer, BinaryLayer)
    weights = layer.eval().weights(layer.weight[0] if binarizer.name == "ebnn" else layer.weight)
    values = weights.signs if isinstance(weights, ScaledSigns) else weights
    for tensor in values[0] if binarizer.name == "lq2" else values if binarizer.name == "abc" else (values,):
        rows = tensor.detach().flatten(1) if tensor.dim() > 1 else tensor.detach()[None]
        assert all(1 < len(row.unique()) <= 2 ** binarizer.bits[1] for row in rows)


@BINARY
def test_inputs_take_as_few_values_as_their_bits_say(binarizer):
    layer = binarizer.conv2d(8, 5, 3).eval()
    module = layer.activations[0] if binarizer.name == "abc" else layer.inputs
    found = module(draw(2, 8, 6, 6))
    tensor = found[0] if binarizer.name == "lq2" else found.signs if isinstance(found, ScaledSigns) else found
    values = tensor.detach().unique()
    assert len(values) > 1
    assert binarizer.bits[0] == 32 or len(values) == 2 ** binarizer.bits[0]


def test_padding_contributes_nothing():
    layer = find_binarizer("bnn").conv2d(1, 1, 3, padding=1)
    layer.weight.data.fill_(1.0)
    assert run(layer, torch.full((1, 1, 3, 3), 2.0))[0, 0].tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]


def test_ties_are_exact_zeros_whatever_the_scale():
    layer = find_binarizer("bireal").linear(1000, 1)
    layer.weight.data = torch.rand(1, 1000, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.1
    x = torch.cat([torch.ones(1, 500), -torch.ones(1, 500)], dim=1)
    assert run(layer, x).item() == 0


def test_scale_factors_for_another_size_are_refused():
    layer = find_binarizer("xnor++").conv2d(1, 1, 1)
    run(layer, draw(1, 1, 4, 4))
    with pytest.raises(UserError, match=r"4 scale factors along axis 1 of an output of 5"):
        run(layer, draw(1, 1, 4, 5))


def test_the_float_twin_is_made_of_pytorchs_layers():
    assert type(FLOAT.conv2d(3, 4, 3, bias=True)) is nn.Conv2d
    assert type(FLOAT.conv1d(3, 4, 3)) is nn.Conv1d
    assert type(FLOAT.linear(3, 4)) is nn.Linear
    assert FLOAT.linear(3, 4).bias is None


def test_a_layer_in_float64_stays_in_float64():
    for binarizer in BINARIZERS:
        layer = binarizer.conv2d(4, 4, 3, padding=1).double()
        assert run(layer, draw(1, 4, 5, 5).double()).dtype == torch.float64, binarizer.name


def test_latent_weights_have_both_signs_and_the_variance_of_the_fan_in():
    weight = find_binarizer("bnn").linear(400, 300).weight
    assert float(weight.detach().std()) == pytest.approx(1 / math.sqrt(400), rel=0.02)
    assert 0.45 < float((weight > 0).float().mean()) < 0.55


@EVERY
def test_filters_of_one_weight_and_equal_weights_give_numbers(binarizer):
    single, equal = binarizer.conv2d(3, 3, 1, groups=3), binarizer.linear(6, 4)
    with torch.no_grad():
        for parameter in [equal.weight] if hasattr(equal, "weight") else []:
            parameter.fill_(0.25)
    for layer, x in ((single, draw(2, 3, 4, 4)), (equal, draw(2, 6))):
        binarizer.on_epoch(layer, 0, 4)
        x.requires_grad_()
        y = layer.train()(x)
        y.sum().backward()
        assert y.isfinite().all()
        assert x.grad.isfinite().all()
        assert all(value.grad.isfinite().all() for value in layer.parameters() if value.grad is not None)


@BINARY
def test_with_real_weights_a_layer_multiplies_by_its_latent_ones(binarizer):
    layer, x = binarizer.linear(6, 5).eval(), draw(3, 6)
    if not isinstance(layer, BinaryLayer):
        pytest.skip("it has no latent weights")
    plain = run(layer, x)
    with real_weights(layer):
        first = run(layer, x)
        with torch.no_grad():
            layer.weight.mul_(2)
        doubled = run(layer, x)
        with torch.no_grad():
            layer.weight.mul_(0.5)
    # Signs are the same of weights twice as large; the weights themselves are not.
    torch.testing.assert_close(doubled, 2 * first)
    torch.testing.assert_close(run(layer, x), plain)
