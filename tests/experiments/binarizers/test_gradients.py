"""Every estimator's gradient is that of the function that its paper puts in the place of the sign."""

import math

import pytest
import torch
from torch.nn import functional

from experiments.binarizers.catalog import find_binarizer
from experiments.binarizers.gradient_error.fda import FIRST_TERMS, FourierSign, series_slope
from experiments.binarizers.gradient_error.react_net import bend
from experiments.binarizers.gradient_error.recu import brought_to_laplace
from experiments.binarizers.parts.estimators import estimated_sign, inside, sign
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import ScaledSigns
from experiments.binarizers.parts.scales import standardised
from experiments.binarizers.quantization_error.lq_nets import fitted

GEOMETRY = Geometry("linear", 6, 4)
POINTS = torch.tensor([[-3.0, -1.0, -0.75, -0.2, 0.0, 0.3], [0.9, 1.0, 1.1, 2.0, -0.5, 0.5]])


def gradient(function, x):
    """The derivative of Σ G f(x) for a fixed G, and G."""
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    leaf = x.clone().requires_grad_()
    (function(leaf) * upstream).sum().backward()
    return leaf.grad, upstream


def effective(module):
    def weights(w):
        binary = module(w)
        if not isinstance(binary, ScaledSigns):
            return binary
        return binary.signs * binary.scale.view(-1, *(1,) * (w.dim() - 1))

    return weights


def latent_weights():
    return 1.5 * torch.randn(4, 6, generator=torch.Generator().manual_seed(2))


def mean_magnitude(w):
    return w.abs().mean(1, keepdim=True)


def clamp_window(w):
    return (w.abs() <= 1).float()


def polynomial(x):
    """Bi-Real's F(x): -1, 2x + x², 2x - x², 1."""
    inner = torch.where(x < 0, 2 * x + x * x, 2 * x - x * x)
    return torch.where(x < -1, -1.0, torch.where(x < 1, inner, 1.0))


def truncated_series(x, terms=FIRST_TERMS):
    return 4 / math.pi * sum(torch.sin((2 * i + 1) * x) / (2 * i + 1) for i in range(terms + 1))


def rbnn_g(x, t=0.01):
    k = max(1 / t, 1)
    inner = k * (-torch.sign(x) * t * t * x * x / 2 + math.sqrt(2) * t * x)
    return torch.where(x.abs() < math.sqrt(2) / t, inner, k * torch.sign(x))


ACTIVATIONS = {
    "bnn": lambda x: x.clamp(-1, 1),
    "xnor": lambda x: x.clamp(-1, 1),
    "xnor++": lambda x: x.clamp(-1, 1),
    "dorefa": lambda x: x.clamp(0, 1),
    "bireal": polynomial,
    "react": polynomial,
    "recu": polynomial,
    "irnet": lambda x: 10 * torch.tanh(0.1 * x),
    "rbnn": rbnn_g,
    "biper": polynomial,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_have_the_gradient_of_their_surrogate(name):
    # Where the surrogate has a corner, both one-sided slopes would be right: stay off it.
    points = POINTS + 0.013
    found, _ = gradient(find_binarizer(name).inputs(GEOMETRY), points)
    wanted, _ = gradient(ACTIVATIONS[name], points)
    torch.testing.assert_close(found, wanted)


ELEMENTWISE = {
    "bnn": torch.ones_like,
    "binaryconnect": torch.ones_like,
    "xnor": lambda w: 1 / 6 + mean_magnitude(w) * clamp_window(w),
    "bwn": lambda w: 1 / 6 + mean_magnitude(w) * clamp_window(w),
    "dorefa": torch.ones_like,
    "bireal": lambda w: mean_magnitude(w) * clamp_window(w),
    "xnor++": clamp_window,
    "react": lambda w: mean_magnitude(w) * clamp_window(w),
    "lab": torch.ones_like,
    "sabnn": lambda w: mean_magnitude(w) * clamp_window(w) * torch.where(w >= 0, 1.0, 0.75),
    "biper": lambda w: 20 * torch.cos(20 * w),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_weights_have_the_slope_of_their_paper(name):
    w = latent_weights()
    found, upstream = gradient(effective(find_binarizer(name).weights(GEOMETRY)), w)
    torch.testing.assert_close(found, upstream * ELEMENTWISE[name](w))


def test_recu_lets_gradients_through_the_clamp_and_the_standardisation():
    w = latent_weights()
    w[0, 0] = 9.0  # an outlier, which the clamp stops
    module = find_binarizer("recu").weights(GEOMETRY)
    bound = float(-brought_to_laplace(w).abs().mean() * math.log(2 - 2 * module.tau))
    found, _ = gradient(module, w)
    wanted, _ = gradient(lambda v: brought_to_laplace(v).clamp(-bound, bound), w)
    torch.testing.assert_close(found, wanted)


def test_recu_brings_weights_to_a_laplace_distribution_of_scale_two():
    # Centred 2 -2 0 0, variance 8 / 3: times 2√2 / √(8/3) = √3.
    found = brought_to_laplace(torch.tensor([[3.0, -1.0, 1.0, 1.0]]))
    torch.testing.assert_close(found, torch.tensor([[2.0, -2.0, 0.0, 0.0]]) * 3**0.5, rtol=1e-5, atol=1e-6)
    # The bound is -√3 ln 0.3 = 2.085, below 2√3: what moves is the middle.
    w = torch.tensor([[3.0, -1.0, 1.1, 0.9]], requires_grad=True)
    find_binarizer("recu").weights(GEOMETRY)(w)[0, 2].backward()
    assert w.grad[0, 2] > 1.2  # (1 - 1/4) √3, less what the deviation takes


def test_ir_net_decays_the_error_of_standardised_weights():
    w = latent_weights()
    shift = standardised(w).abs().mean(1, keepdim=True).log2().round()
    found, _ = gradient(effective(find_binarizer("irnet").weights(GEOMETRY)), w)
    wanted, _ = gradient(lambda v: 2**shift * 10 * torch.tanh(0.1 * standardised(v)), w)
    torch.testing.assert_close(found, wanted)


def test_dir_net_keeps_a_tenth_of_the_values_moving():
    module = find_binarizer("dirnet").inputs(GEOMETRY)
    module.t = 10.0
    x = torch.linspace(2, 21, 20)[None]  # the second smallest, 3, limits t to a third
    found, upstream = gradient(module, x)
    torch.testing.assert_close(found, upstream * (1 - torch.tanh(x / 3) ** 2), rtol=1e-4, atol=1e-7)
    near = x / 1000  # as many are near zero: t is the schedule's
    found, upstream = gradient(module, near)
    torch.testing.assert_close(found, upstream * 10 * (1 - torch.tanh(10 * near) ** 2))


def test_lq_nets_pass_gradients_through_the_levels():
    module = find_binarizer("lq2").inputs(GEOMETRY).eval()
    module.basis.copy_(torch.tensor([0.5, 2.0]))

    def levels(x):
        first, second, basis = module(x)
        return basis[0] * first + basis[1] * second

    found, upstream = gradient(levels, POINTS)
    torch.testing.assert_close(found, upstream)  # all below 2.5
    found, _ = gradient(levels, POINTS + 9)
    assert not found.any()


def test_lq_nets_pass_gradients_straight_through_weights():
    module = find_binarizer("lq2").weights(GEOMETRY).eval()

    def levels(w):
        signs, scales = module(w)
        return (scales[..., None] * signs).sum(0)

    found, upstream = gradient(levels, latent_weights())
    torch.testing.assert_close(found, upstream)


def test_the_basis_of_lq_nets_is_the_least_squares_one():
    codes = torch.tensor([[[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]]])
    found = fitted(codes, torch.tensor([[0.5, 2.0, 2.5, 0.0]]), torch.tensor([[1.0, 1.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.5, 2.0]]), rtol=1e-3, atol=1e-3)
    module = find_binarizer("lq2").inputs(GEOMETRY).train()
    module.basis.copy_(torch.tensor([0.6, 2.0]))
    module(torch.tensor([0.5, 2.0, 2.5, 0.0]))
    torch.testing.assert_close(module.basis, torch.tensor([0.59, 2.0]), rtol=1e-3, atol=1e-3)


def test_the_fourier_slope_is_the_derivative_of_the_truncated_series():
    points = torch.cat([POINTS, torch.tensor([[math.pi, -math.pi, 1e-5, 3.1415, 2 * math.pi, 1.5]])]).double()
    wanted, upstream = gradient(truncated_series, points)
    torch.testing.assert_close(upstream * series_slope(points, FIRST_TERMS), wanted, rtol=1e-4, atol=1e-4)


def test_fda_binarizes_both_operands_by_the_series():
    w = latent_weights() / 2
    found, upstream = gradient(effective(find_binarizer("fda").weights(GEOMETRY).eval()), w)
    torch.testing.assert_close(found, upstream * mean_magnitude(w) * series_slope(w, FIRST_TERMS))
    found, upstream = gradient(FourierSign(6, -1).eval(), w)
    torch.testing.assert_close(found, upstream * series_slope(w, FIRST_TERMS))


def test_the_threshold_of_react_net_learns_minus_what_its_channel_does():
    module = find_binarizer("react").inputs(GEOMETRY)
    x = POINTS.clone().requires_grad_()
    module(x).sum().backward()
    torch.testing.assert_close(module.threshold.grad, -x.grad.sum(0))


def test_pact_learns_its_bound_from_what_it_clips():
    module = find_binarizer("pact2").inputs(GEOMETRY)
    x = torch.tensor([[-1.0, 0.5, 1.9, 2.5, 3.0, 0.0]], requires_grad=True)
    levels = module(x)
    (levels.signs * levels.scale).sum().backward()
    assert module.bound.grad == pytest.approx(2)
    assert x.grad.tolist() == [pytest.approx([0, 1, 1, 0, 0, 1])]


def test_abc_bases_pass_gradients_where_the_activation_is_not_clipped():
    module = find_binarizer("abc").inputs(GEOMETRY)
    x = torch.tensor([[-0.6, -0.4, 0.0, 0.4, 0.6, 0.5]], requires_grad=True)
    assert module(x).tolist() == [[-1, -1, 1, 1, 1, 1]]
    module(x).sum().backward()
    assert x.grad.tolist() == [[0, 1, 1, 1, 0, 1]]


def test_lab_weighs_magnitudes_by_the_curvature_it_has_seen():
    layer = find_binarizer("lab").linear(2, 1)
    layer.weight.data = torch.tensor([[3.0, -1.0]])
    assert float(layer.weights(layer.weight).scale) == pytest.approx(2.0)
    layer(torch.tensor([[1.0, 1.0]])).sum().backward()  # the same gradient for both
    assert float(layer.weights(layer.weight).scale) == pytest.approx(2.0, rel=1e-4)
    layer.weights.moment.copy_(torch.tensor([[9.0, 1.0]]))  # d = 3, 1
    assert float(layer.weights(layer.weight).scale) == pytest.approx((3 * 3 + 1 * 1) / 4)


def test_the_bend_of_rprelu_has_the_gradient_of_prelu():
    x, slope = torch.randn(2, 3, 4, 5), torch.tensor([0.25, 0.0, -1.5])
    upstream = torch.randn_like(x)
    found, wanted = ([x.clone().requires_grad_(), slope.clone().requires_grad_()] for _ in range(2))
    (bend(*found) * upstream).sum().backward()
    (functional.prelu(*wanted) * upstream).sum().backward()
    torch.testing.assert_close([leaf.grad for leaf in found], [leaf.grad for leaf in wanted])


def test_a_sign_is_the_same_in_training_and_without_gradients():
    x = torch.tensor([-1.5, -0.0, 0.0, 2.0])
    assert estimated_sign(x.clone().requires_grad_(), inside).tolist() == sign(x).tolist() == [-1, 1, 1, 1]
