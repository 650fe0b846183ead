"""Forwards against examples worked by hand: three features to two outputs, or a 2x2 image."""

import pytest
import torch

from experiments.binarizers.catalog import find_binarizer

WEIGHTS = [[0.5, -0.25, 1.0], [-1.0, 0.5, 0.5]]  # signs + - + and - + +; mean magnitudes 1.75 / 3 and 2 / 3


def linear(name, weights=WEIGHTS):
    layer = find_binarizer(name).linear(3, 2).eval()
    layer.weight.data = torch.tensor(weights)
    return layer


def outputs(layer, x):
    with torch.no_grad():
        return layer(torch.tensor([x]))[0].tolist()


# s(x) = + - +, so that the products of signs are 3 and -1.
X = [0.5, -2.0, 0.25]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("bnn", [3, -1]),
        ("bireal", [1.75, -2 / 3]),
        ("react", [1.75, -2 / 3]),
        ("fda", [1.75, -2 / 3]),
        ("sabnn", [1.75, -2 / 3]),
        ("proxybnn", [1.75, -2 / 3]),
        ("xnor", [1.75 * 2.75 / 3, -2 / 3 * 2.75 / 3]),  # K = mean|x| = 2.75 / 3
        ("lab", [3 * 0.625, -0.625]),  # mean|w| of the layer
        ("binaryconnect", [0.5 + 2 + 0.25, -0.5 - 2 + 0.25]),
        ("bwn", [2.75 * 1.75 / 3, -2.25 * 2 / 3]),
    ],
)
def test_a_linear_layer_computes_what_the_paper_says(name, wanted):
    assert outputs(linear(name), X) == pytest.approx(wanted)


def test_dorefa_counts_ones_of_the_unit_interval_and_scales_by_the_layer():
    # x is 1, 0, 1: the products are 2 and 0; E = 3.75 / 6.
    assert outputs(linear("dorefa"), [0.75, -2.0, 2.0]) == pytest.approx([2 * 0.625, 0])


def test_si_bnn_counts_ones_above_the_threshold():
    assert outputs(linear("sibnn"), [0.75, -2.0, 0.4]) == pytest.approx([1.75 / 3, -2 / 3])


def test_xnor_plus_plus_scales_by_its_factors():
    layer = linear("xnor++")
    layer.scale.channels.data = torch.tensor([2.0, -1.0])
    assert outputs(layer, X) == pytest.approx([6, 1])


def test_xnor_plus_plus_has_a_factor_for_each_channel_row_and_column():
    layer = find_binarizer("xnor++").conv2d(1, 1, 1)
    layer.weight.data.fill_(1.0)
    image = torch.ones(1, 1, 2, 3)
    layer(image)  # the first output says how many
    layer.scale.channels.data = torch.tensor([2.0])
    layer.scale.axes[0].data = torch.tensor([1.0, 10.0])
    layer.scale.axes[1].data = torch.tensor([1.0, 2.0, 3.0])
    assert layer(image)[0, 0].tolist() == [[2, 4, 6], [20, 40, 60]]


def test_react_net_moves_the_sign_to_its_threshold():
    layer = linear("react")
    layer.inputs.threshold.data = torch.tensor([1.0, 0.0, 0.5])  # signs of x are now - - -
    assert outputs(layer, X) == pytest.approx([-1.75 / 3, -2 / 3])


def test_rprelu_shifts_bends_and_shifts():
    module = find_binarizer("react").nonlinearity(1)
    module.before.data.fill_(1.0)
    module.after.data.fill_(0.5)
    assert module(torch.tensor([[3.0], [-1.0]])).flatten().tolist() == [2.5, 0.25 * -2 + 0.5]


def test_recu_centres_weights_before_their_sign():
    layer = linear("recu", [[0.9, 0.1, 0.2], [-1.0, 0.5, 0.5]])  # centred: + - - and - + +
    layer.scale.alpha.data = torch.tensor([1.0, 2.0])
    assert outputs(layer, X) == pytest.approx([1, -2])


def test_ir_net_scales_by_a_power_of_two():
    layer = linear("irnet", [[0.9, 0.1, 0.2], [-4.0, 2.0, 2.0]])
    # Both rows standardise to magnitudes whose mean is 0.77: 2^round(log2 0.77) = 2^0; signs + - - and - + +.
    assert outputs(layer, X) == pytest.approx([1, -1])


def test_dir_net_has_the_forward_of_ir_net():
    weights = [[0.9, 0.1, 0.2], [-4.0, 2.0, 2.0]]
    assert outputs(linear("dirnet", weights), X) == outputs(linear("irnet", weights), X)


def test_the_levels_of_lq_nets_are_sums_of_two_numbers():
    layer = linear("lq2", [[0.9, -0.1, -2.5], [3.5, 0.1, -0.4]])
    layer.inputs.basis.copy_(torch.tensor([0.5, 2.0]))  # levels 0, 0.5, 2, 2.5; from 0.25, 1.25 and 2.25
    layer.weights.basis.copy_(torch.tensor([[1.0, 2.0], [0.5, 3.0]]))  # levels ±1, ±3 and ±2.5, ±3.5
    # Rows become 1 -1 -3 and 3.5 2.5 -2.5, the input 0.5 0 2.5.
    assert outputs(layer, [0.3, 0.2, 9.0]) == pytest.approx([0.5 - 7.5, 1.75 - 6.25])
    assert outputs(layer, [1.3, 2.2, -1.0]) == pytest.approx([2 - 2, 7 + 5])


def test_biper_takes_the_sign_of_a_sine():
    layer = linear("biper", [[0.1, 0.2, 0.3], [-0.1, 0.5, 0.4]])  # sin of 2, 4, 6 and -2, 10, 8: + - - and - - +
    layer.scale.alpha.data = torch.ones(2)
    assert outputs(layer, X) == pytest.approx([1, 1])


def test_rbnn_without_rotation_is_the_sign_of_standardised_weights():
    layer = linear("rbnn", [[0.9, 0.1, 0.2], [-1.0, 0.5, 0.5]])
    layer.scale.alpha.data = torch.ones(2)
    assert outputs(layer, X) == pytest.approx([1, -1])


def test_horq_adds_what_the_first_order_lacks():
    # β1 = 2.75 / 3; the rest is x - β1 s(x) = -0.4167, -1.0833, -0.6667: signs - - -, β2 = 2.1667 / 3.
    scales = (1.75 / 3, 2 / 3)
    first, second = (3, -1), (-1 + 1 - 1, 1 - 1 - 1)
    wanted = [s * (2.75 / 3 * a + 6.5 / 9 * b) for s, a, b in zip(scales, first, second, strict=True)]
    assert outputs(linear("horq"), X) == pytest.approx(wanted)


def test_abc_net_takes_the_smallest_scales_where_its_bases_are_opposites():
    layer = find_binarizer("abc").linear(2, 1)
    layer.weight.data = torch.tensor([[2.0, 0.0]])  # mean 1, deviation √2: bases - - and + +
    bases, alpha = layer.weights(layer.weight)
    assert bases.tolist() == [[[-1, -1]], [[1, 1]]]
    assert alpha.tolist() == pytest.approx([-0.5, 0.5])


def test_the_least_squares_of_abc_net_reproduce_what_bases_span():
    layer = find_binarizer("abc").linear(4, 1).eval()
    layer.weight.data = torch.tensor([[3.0, -3.0, 0.2, -0.2]])
    bases, alpha = layer.weights(layer.weight)
    # mean 0, deviation 2.46: bases + - - - and + - + +.
    assert bases.tolist() == [[[1, -1, -1, -1]], [[1, -1, 1, 1]]]
    assert alpha.tolist() == pytest.approx([1.5, 1.5])
    layer.beta.data = torch.tensor([1.0, 2.0])
    # Activations: x >= 1/2 gives + - - -, x + 1 >= 1/2 gives + - + -; products of pairs by hand.
    x = [0.7, -0.9, 0.1, -0.8]
    wanted = 1.5 * (1 * (4 + 0) + 2 * (2 + 2))
    assert outputs(layer, x) == pytest.approx([wanted])


def test_experts_take_turns():
    layer = find_binarizer("ebnn").linear(3, 2).eval()
    layer.weight.data = torch.tensor([WEIGHTS, [[-1.0] * 3, [1.0] * 3]])
    layer.gate.gate.weight.data = torch.tensor([[1.0, 0.0, 0.0]])  # the first feature's sign chooses
    assert outputs(layer, X) == pytest.approx([1.75, -2 / 3])
    assert outputs(layer, [-0.5, -2.0, 0.25]) == pytest.approx([1, -1])


def test_pact_and_its_weights_have_four_levels():
    binarizer = find_binarizer("pact2")
    x = torch.tensor([-1.0, 0.3, 0.4, 1.1, 1.9, 5.0])
    found = binarizer.linear(6, 1).inputs(x)
    assert found.signs.tolist() == [0, 0, 1, 2, 3, 3]
    assert float(found.scale) == pytest.approx(2 / 3)
    weights = binarizer.linear(4, 1).weights(torch.tensor([[-9.0, -0.2, 0.2, 9.0]]))
    assert weights.signs.tolist() == [[-3, -1, 1, 3]]
    assert float(weights.scale) == pytest.approx(1 / 3)


def test_pact_multiplies_integers_and_scales_their_sum():
    layer = linear("pact2", [[9.0, -0.2, 0.2], [-9.0, 9.0, -9.0]])  # levels 3 -1 1 and -3 3 -3, thirds
    layer.inputs.bound.data.fill_(1.5)
    # The input's levels are 3 1 0, halves: 9 - 1 and -9 + 3.
    assert outputs(layer, [2.0, 0.4, -1.0]) == pytest.approx([8 / 6, -6 / 6])


def test_the_k_map_is_the_box_filtered_mean_magnitude():
    layer = find_binarizer("xnor").conv2d(2, 1, 2, padding=1).eval()
    layer.weight.data.fill_(0.5)
    image = torch.tensor([[[[1.0, -2.0], [3.0, -4.0]], [[3.0, 0.0], [1.0, 4.0]]]])
    # |x| over channels: 2 1; 2 4. In the corner the window holds one pixel: K = 2 / 4, signs + +; in the centre
    # K = 9 / 4, signs + - + - and + + + +: their sum is 4.
    with torch.no_grad():
        found = layer(image)[0, 0]
    assert float(found[0, 0]) == pytest.approx(0.5 * 2 * 2 / 4)
    assert float(found[1, 1]) == pytest.approx(0.5 * 4 * 9 / 4)


def test_the_sign_of_zero_is_plus_one():
    for name in ("bnn", "xnor", "bireal", "xnor++", "react", "recu", "fda", "irnet", "rbnn", "biper"):
        module = find_binarizer(name).linear(2, 1).eval().inputs
        assert module(torch.zeros(1, 2)).tolist() == [[1, 1]], name
