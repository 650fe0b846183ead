"""Networks with signs in them whose layers are not binary: what a compiler must leave alone.

One operand at least is real.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import (
    PolynomialSign,
    RSign,
    apply,
    channel_mean,
    real_stem,
    resnet,
    sign,
)
from experiments.families.family import Family, normal


class TopScores(torch.autograd.Function):
    """A mask of the largest scores; straight through."""

    @staticmethod
    def forward(_ctx: Any, scores: torch.Tensor, kept: float) -> torch.Tensor:
        """Return 1 for the share ``kept`` of the scores, 0 for the rest."""
        order = scores.flatten().argsort()
        mask = torch.ones_like(scores).flatten()
        mask[order[: int((1 - kept) * scores.numel())]] = 0
        return mask.view_as(scores)

    @staticmethod
    def backward(_ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Pass the gradient."""
        return gradient, None


class MaskedSignConv2d(nn.Conv2d):
    """Multi-prize tickets (Diffenderfer & Kailkhura, ICLR 2021): α·sign(w) under a mask, so three values."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.scores = nn.Parameter(torch.rand(self.weight.shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve with the ternary weights."""
        mask = apply(TopScores, self.scores.abs(), 0.6)
        scale = (mask * self.weight).abs().sum() / mask.sum()
        return functional.conv2d(x, scale * torch.sign(self.weight) * mask, None, self.stride, self.padding)


class LocalBinaryConv2d(nn.Module):
    """LBCNN (Juefei-Xu et al., CVPR 2017): fixed sparse ±1 filters on real maps, ReLU, learned 1×1 mixture."""

    filters: torch.Tensor

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        anchors = torch.randint(-1, 2, (2 * outputs, inputs, 3, 3)).float()
        self.register_buffer("filters", anchors)
        self.mixture = nn.Conv2d(2 * outputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, rectify, mix."""
        mixed: torch.Tensor = self.mixture(functional.relu(functional.conv2d(x, self.filters, None, self.stride, 1)))
        return mixed


class BinaryWeightConv2d(nn.Conv2d):
    """BWN (Rastegari et al., XNOR-Net, ECCV 2016): weights ±α, real input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve with binary weights."""
        weight = sign(self.weight) * channel_mean(self.weight.abs())
        return functional.conv2d(x, weight, None, self.stride, self.padding)


class SineConv2d(BinaryWeightConv2d):
    """BiPer's first stage (Vargas et al., CVPR 2024): signs as input, weights sin(ω·w), still real."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve signs with a sine."""
        return functional.conv2d(sign(x), torch.sin(20.0 * self.weight), None, self.stride, self.padding)


class SignedRoot(nn.Module):
    """sign(x)·√|x|, the normalisation of bilinear pooling: a sign, but of one factor only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compress the range."""
        return x.sign() * (x.abs() + 1e-5).sqrt()


def conv(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return an ordinary 3×3 convolution."""
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


def thresholded(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return the layer of ReActNet's first training step: RSign before real weights."""
    return nn.Sequential(RSign(inputs), conv(inputs, outputs, stride))


def masked_signs(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return signs before ternary weights."""
    return nn.Sequential(PolynomialSign(), MaskedSignConv2d(inputs, outputs, stride))


def signed_root_net() -> nn.Module:
    """Return a real net with signed square roots before its convolution and its classifier."""
    return nn.Sequential(
        *(real_stem(3, 16), SignedRoot(), conv(16, 32, 2), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), SignedRoot(), nn.Linear(32, 10)),
    )


def look_alike(name: str, idiom: str, network: Callable[[], nn.Module], total_layers: int, notes: str) -> Family:
    """Return a family without any binary layer, on 16×16 images."""
    return Family(name, idiom, network, normal(1, 3, 16, 16), binary_layers=0, total_layers=total_layers, notes=notes)


FAMILIES = (
    look_alike(
        "Multi-prize ticket 1/32",
        "scale * sign(w) * mask",
        lambda: resnet(MaskedSignConv2d),
        6,
        "weights of three values, real input",
    ),
    look_alike(
        "LBCNN",
        "buffer of {-1, 0, 1}",
        lambda: resnet(LocalBinaryConv2d),
        10,
        "sparse filters of three values, real input",
    ),
    look_alike(
        "BWN",
        "sign(w) * mean|w|",
        lambda: resnet(BinaryWeightConv2d),
        6,
        "binary weights, real input",
    ),
    look_alike(
        "ReActNet, first step",
        "trick(sign(x + b), polynomial(x + b)); real weights",
        lambda: resnet(thresholded),
        6,
        "binary input, real weights",
    ),
    look_alike(
        "BiPer, first stage",
        "sign(x); sin(20 * w)",
        lambda: resnet(SineConv2d),
        6,
        "binary input, real weights",
    ),
    look_alike(
        "Signed square root",
        "x.sign() * sqrt(|x|)",
        signed_root_net,
        3,
        "the sign multiplies a real tensor",
    ),
)
