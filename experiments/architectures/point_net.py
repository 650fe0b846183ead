"""PointNet, vanilla and full, with BiPointNet's aggregation (Qi et al., CVPR 2017; Qin et al., ICLR 2021).

Clouds are ``(N, 3, points)``: a shared layer is a 1x1 convolution over points.
"""

from __future__ import annotations

import itertools
import statistics

import torch
from torch import nn

from experiments.architectures.architecture import Architecture, InputSpec
from experiments.binarizers.parts.binarizer import Binarizer

PAPER = "Qi et al., PointNet, CVPR 2017; Qin et al., BiPointNet, ICLR 2021"
_POINTS, _SMALL_POINTS = 1024, 256


def entropy_shift(points: int) -> float:
    """Return the δ that maximises the entropy of sign(max(x) - δ) over ``points`` independent N(0, 1) (BiPointNet).

    Both signs are equally likely where P(max <= δ) = Φ(δ)^points = 1/2: δ = Φ⁻¹(2^(-1/points)), 3.2041 for 1024.
    """
    return statistics.NormalDist().inv_cdf(0.5 ** (1 / points))


class EntropyMaximum(nn.Module):
    """Maximum over the points, shifted so that its signs keep their information; the float twin is not shifted."""

    def __init__(self, shifted: bool) -> None:
        super().__init__()
        self.shifted = shifted

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, C, points)`` to ``(N, C)``."""
        largest = x.max(dim=2).values
        return largest - entropy_shift(x.shape[2]) if self.shifted else largest


def shared(binarizer: Binarizer, widths: tuple[int, ...]) -> nn.Sequential:
    """Return 1x1 layers over points; behind the last one's batch norm no activation, as the aggregation follows."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [binarizer.conv1d(inputs, outputs, 1), nn.BatchNorm1d(outputs), binarizer.nonlinearity(outputs)]
    return nn.Sequential(*layers[:-1])


def first_layer(outputs: int, binarizer: Binarizer, inputs: int = 3) -> nn.Sequential:
    """Return the real layer that reads coordinates."""
    conv = nn.Conv1d(inputs, outputs, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(outputs), binarizer.nonlinearity(outputs))


def regressor(binarizer: Binarizer, widths: tuple[int, ...], outputs: int) -> nn.Sequential:
    """Return linear layers, the last of them real."""
    layers: list[nn.Module] = []
    for inputs, width in itertools.pairwise(widths):
        layers += [binarizer.linear(inputs, width), nn.BatchNorm1d(width), binarizer.nonlinearity(width)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))


class Transform(nn.Module):
    """T-Net: predicts a matrix from the cloud and applies it; the identity before training."""

    def __init__(self, binarizer: Binarizer, size: int, widths: tuple[int, ...], hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size
        real = size == 3  # coordinates  # noqa: PLR2004
        front = first_layer(widths[0], binarizer) if real else shared(binarizer, (size, widths[0]))
        between = [] if real else [binarizer.nonlinearity(widths[0])]
        self.features = nn.Sequential(front, *between, shared(binarizer, widths))
        self.aggregate = EntropyMaximum(binarizer.binary_activations)
        self.regress = regressor(binarizer, (widths[-1], *hidden), size * size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, size, points)`` to the same."""
        matrix: torch.Tensor = self.regress(self.aggregate(self.features(x))).view(-1, self.size, self.size)
        matrix = matrix + torch.eye(self.size, device=x.device, dtype=x.dtype)
        return torch.bmm(matrix, x)


class PointNet(nn.Module):
    """Classifier; ``full`` with both transforms."""

    def __init__(self, binarizer: Binarizer, classes: int, small: bool, full: bool) -> None:
        super().__init__()
        local, wide = ((16, 16), (16, 32, 64)) if small else ((64, 64), (64, 64, 128, 1024))
        hidden = (32, 16) if small else (512, 256)
        net = (16, 32, 64) if small else (64, 128, 1024)
        self.align = Transform(binarizer, 3, net, hidden) if full else nn.Identity()
        self.first = first_layer(local[0], binarizer)
        self.local = nn.Sequential(shared(binarizer, local), binarizer.nonlinearity(local[-1]))
        self.align_features = Transform(binarizer, local[-1], net, hidden) if full else nn.Identity()
        self.wide = shared(binarizer, wide)
        self.aggregate = EntropyMaximum(binarizer.binary_activations)
        self.head = regressor(binarizer, (wide[-1], *hidden), classes)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Classify ``(N, 3, points)``."""
        features = self.align_features(self.local(self.first(self.align(points))))
        logits: torch.Tensor = self.head(self.aggregate(self.wide(features)))
        return logits


def vanilla(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return PointNet without transforms."""
    return PointNet(binarizer, classes, small, full=False)


def full(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return PointNet with transforms of coordinates and of features."""
    return PointNet(binarizer, classes, small, full=True)


_CLOUD, _SMALL_CLOUD = (InputSpec((3, _POINTS)),), (InputSpec((3, _SMALL_POINTS)),)
ARCHITECTURES = (
    Architecture("pointnet-vanilla", "mlp", "points", PAPER, vanilla, _CLOUD, _SMALL_CLOUD),
    Architecture("pointnet", "mlp", "points", PAPER, full, _CLOUD, _SMALL_CLOUD),
)
