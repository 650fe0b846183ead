"""Networks of few-valued operands that are not binary: they run as sums of bit planes.

Ternary weights, k-bit activations and weights on even ladders, learned uneven levels, and the sums of several bases
that ABC-Net and HORQ put into one convolution.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import apply, channel_mean, pooled_head, real_stem, resnet, sign
from experiments.families.edge_cases.look_alikes import BinaryWeightConv2d, masked_signs
from experiments.families.family import Family, normal
from experiments.families.quantizers.dorefa import RoundedActivation, RoundedLevels, pre_activation_resnet


class TernaryConv2d(BinaryWeightConv2d):
    """TWN (Li et al., arXiv 1605.04711): weights within Δ = 0.7·mean|w| are 0, the others ±α; signs as input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve signs with ternary weights."""
        large = (self.weight.abs() > 0.7 * channel_mean(self.weight.abs())).float()
        scale = (self.weight.abs() * large).sum((1, 2, 3), keepdim=True) / large.sum((1, 2, 3), keepdim=True)
        return functional.conv2d(sign(x), self.weight.sign() * large * scale, None, self.stride, self.padding)


class TrainedTernaryConv2d(BinaryWeightConv2d):
    """TTQ (Zhu et al., ICLR 2017): weights -a, 0 or b with learned a and b for the layer; signs as input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, stride)
        self.negative, self.positive = nn.Parameter(torch.rand(()) + 0.5), nn.Parameter(torch.rand(()) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve signs with weights of three uneven values."""
        limit = 0.05 * self.weight.abs().max()
        weight = self.positive * (self.weight > limit).float() - self.negative * (self.weight < -limit).float()
        return functional.conv2d(sign(x), weight, None, self.stride, self.padding)


class LadderConv2d(BinaryWeightConv2d):
    """DoReFa with k-bit weights (arXiv 1606.06160, eq. 9): 2·round(n·(tanh w / 2 max|tanh w| + 1/2)) / n - 1."""

    def __init__(self, inputs: int, outputs: int, stride: int, bits: int = 2) -> None:
        super().__init__(inputs, outputs, stride)
        self.activation, self.bits = RoundedActivation(bits), bits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve k-bit activations with k-bit weights."""
        squashed = torch.tanh(self.weight)
        unit = squashed / (2 * squashed.abs().max()) + 0.5
        weight = 2 * apply(RoundedLevels, unit, self.bits) - 1
        return functional.conv2d(self.activation(x), weight, None, self.stride, self.padding)


class LearnedLevels(nn.Module):
    """LQ-Nets (Zhang et al., ECCV 2018): the levels are the sums ±v1 ±v2 of a learned basis; the nearest is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.rand(2) * 0.3 + torch.tensor([0.3, 0.8]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Quantize to four levels, by comparison with the middles between them."""
        small, large = self.basis[0], self.basis[1]
        levels = [-large - small, small - large, large - small, large + small]
        quantized: torch.Tensor = levels[0].expand_as(x)
        for low, high in itertools.pairwise(levels):
            quantized = torch.where(x > (low + high) / 2, high, quantized)
        return quantized


class LearnedLevelConv2d(BinaryWeightConv2d):
    """LQ-Nets with two bits for both operands."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, stride)
        self.of_inputs, self.of_weights = LearnedLevels(), LearnedLevels()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve."""
        weight = self.of_weights(self.weight / self.weight.std()) * 0.1
        return functional.conv2d(self.of_inputs(x), weight, None, self.stride, self.padding)


class ClippedActivation(nn.Module):
    """PACT (Choi et al., arXiv 1805.06085): clip to [0, a] with a learned a, 2**k even steps."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.limit, self.steps = nn.Parameter(torch.tensor(1.7)), 2**bits - 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Quantize: 0.5·(|x| - |x - a| + a) in steps of a / n (eqs. 1 and 2)."""
        clipped = 0.5 * (x.abs() - (x - self.limit).abs() + self.limit)
        scale = self.steps / self.limit
        quantized: torch.Tensor = torch.round(torch.clamp(clipped * scale, 0, self.steps)) / scale
        return quantized


class SummedOrdersConv2d(BinaryWeightConv2d):
    """HORQ (Li et al., ICCV 2017), both orders added up before one convolution."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve β1·H1 + β2·H2 with binary weights."""
        weight = sign(self.weight) * channel_mean(self.weight.abs())
        first = x.abs().mean((1, 2, 3), keepdim=True) * sign(x)
        rest = x - first
        second = rest.abs().mean((1, 2, 3), keepdim=True) * sign(rest)
        return functional.conv2d(first + second, weight, None, self.stride, self.padding)


class SummedBasesConv2d(BinaryWeightConv2d):
    """ABC-Net (Lin, Zhao & Pan, NeurIPS 2017) as one convolution of Σ β_j A_j with Σ α_i B_i."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, stride)
        self.alpha, self.beta = nn.Parameter(torch.tensor([0.9, 0.5, 0.2])), nn.Parameter(torch.tensor([0.7, 1.1]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve sums of bases."""
        centred = self.weight - self.weight.mean()
        bases = [torch.sign(centred + shift * self.weight.std()) for shift in (-1.0, 0.0, 1.0)]
        weight = sum(alpha * base for alpha, base in zip(self.alpha, bases, strict=True))
        signs = [torch.where(x > threshold, 1.0, -1.0) for threshold in (-0.3, 0.4)]
        bits = sum(beta * plane for beta, plane in zip(self.beta, signs, strict=True))
        return functional.conv2d(bits, weight, None, self.stride, self.padding)


def clipped_net() -> nn.Module:
    """Return two layers of binary weights on two-bit activations."""
    return nn.Sequential(
        *(real_stem(3, 16), ClippedActivation(2), BinaryWeightConv2d(16, 24, 1), nn.BatchNorm2d(24)),
        *(ClippedActivation(2), BinaryWeightConv2d(24, 32, 2), nn.BatchNorm2d(32), nn.ReLU(), pooled_head(32)),
    )


def few_bits(
    name: str, idiom: str, network: Callable[[], nn.Module], layers: tuple[int, int], notes: str = ""
) -> Family:
    """Return a family without binary layers, on 16×16 images; ``layers`` are those of bit planes, and all."""
    on_planes, total = layers
    return Family(name, idiom, network, normal(1, 3, 16, 16), 0, total, plane_layers=on_planes, notes=notes)


FAMILIES = (
    few_bits(
        "TWN with binary activations",
        "sign(x); sign(w) * (|w| > delta) * scale",
        lambda: resnet(TernaryConv2d),
        (4, 6),
        "binary input, weights of three values: 1x2 planes",
    ),
    few_bits(
        "TTQ with binary activations",
        "sign(x); b * (w > limit) - a * (w < -limit)",
        lambda: resnet(TrainedTernaryConv2d),
        (4, 6),
        "three uneven weights, so the sum over the window is needed as well",
    ),
    few_bits(
        "Multi-prize ticket 1/1",
        "trick(sign, polynomial); scale * sign(w) * mask",
        lambda: resnet(masked_signs),
        (4, 6),
        "binary input, weights of three values",
    ),
    few_bits(
        "DoReFa, two-bit activations",
        "torch.round(clamp(x, 0, 1) * 3) / 3; sign(w / E) * E",
        lambda: pre_activation_resnet(lambda: RoundedActivation(2)),
        (7, 9),
        "binary weights, activations of four values: 2x1 planes",
    ),
    few_bits(
        "DoReFa, two bits each",
        "2 * round(3 * (tanh(w) / (2 * max) + 0.5)) / 3 - 1",
        lambda: resnet(LadderConv2d),
        (4, 6),
        "2x2 planes",
    ),
    few_bits(
        "DoReFa, three bits each",
        "2 * round(7 * (tanh(w) / (2 * max) + 0.5)) / 7 - 1",
        lambda: resnet(lambda inputs, outputs, stride: LadderConv2d(inputs, outputs, stride, 3)),
        (4, 6),
        "3x3 planes",
    ),
    few_bits(
        "PACT, two bits, binary weights",
        "round(clip by two |x| to [0, a] * n / a) * a / n; sign(w) * mean|w|",
        clipped_net,
        (2, 4),
    ),
    few_bits(
        "LQ-Nets, two bits each",
        "where(x > middle, level, ...) with levels ±v1 ±v2",
        lambda: resnet(LearnedLevelConv2d),
        (4, 6),
        "uneven levels; padded zeros are none of them",
    ),
    few_bits(
        "HORQ, orders added up",
        "conv(b1 * sign(x) + b2 * sign(x - b1 * sign(x)), w)",
        lambda: resnet(SummedOrdersConv2d),
        (4, 6),
        "the scales depend on the sample: one binary convolution for each order",
    ),
    few_bits(
        "ABC-Net, bases added up",
        "conv(sum of beta * where(x > v, 1, -1), sum of alpha * sign(w - mean + u * std))",
        lambda: resnet(SummedBasesConv2d),
        (4, 6),
        "2x3 planes",
    ),
)
