"""RBNN: weights turned towards their signs by two small rotations, found anew every epoch."""

from __future__ import annotations

import math

import torch
from torch import nn

from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import sign, with_slope
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.scales import LearnedScale, standardised

FIRST_EXPONENT, LAST_EXPONENT = -2.0, 1.0
_ROUNDS = 3


class TrainingAwareSign(nn.Module):
    """sign(x) with the slope max(k (√2 t - t²|x|), 0), k = max(1/t, 1)."""

    t: float = 10**FIRST_EXPONENT

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        slope = max(1 / self.t, 1.0) * (math.sqrt(2) * self.t - self.t**2 * x.abs()).clamp_min(0)
        return with_slope(sign(x), slope, x)


def rows_and_columns(count: int) -> tuple[int, int]:
    """Return the factors of a filter's size that lie closest together: the smallest rotations."""
    rows = max(factor for factor in range(1, math.isqrt(count) + 1) if count % factor == 0)
    return rows, count // rows


class RotatedSign(nn.Module):
    """sign(w + |sin θ| (R w - w)), R w = R_1ᵀ W R_2 of each standardised filter as a matrix W.

    As in the authors' code, θ is learned for each filter, and no gradient flows through what is rotated.
    """

    left: torch.Tensor
    right: torch.Tensor

    def __init__(self, geometry: Geometry) -> None:
        """Start without rotation."""
        super().__init__()
        rows, columns = rows_and_columns(math.prod(geometry.weight_shape[1:]))
        self.register_buffer("left", torch.eye(rows))
        self.register_buffer("right", torch.eye(columns))
        self.theta = nn.Parameter(torch.full((geometry.outputs, 1, 1), math.pi / 4))
        self.sign = TrainingAwareSign()

    def matrices(self, w: torch.Tensor) -> torch.Tensor:
        """Return the standardised filters as ``(outputs, rows, columns)``."""
        return standardised(w).reshape(len(w), len(self.left), len(self.right))

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """Binarize."""
        plain = self.matrices(w)
        rotated = self.left.t() @ plain @ self.right
        blended = plain + torch.sin(self.theta).abs() * (rotated.detach() - plain)
        signs: torch.Tensor = self.sign(blended).view_as(w)
        return signs

    @torch.no_grad()
    def align(self, w: torch.Tensor) -> None:
        """Improve signs and both rotations in turns: each maximises Σ tr(Bᵀ R_1ᵀ W R_2) by itself."""
        plain = self.matrices(w)
        for _ in range(_ROUNDS):
            signs = sign(self.left.t() @ plain @ self.right)
            self.left.copy_(nearest_rotation((plain @ self.right @ signs.transpose(1, 2)).sum(0)))
            self.right.copy_(nearest_rotation((plain.transpose(1, 2) @ self.left @ signs).sum(0)))


def nearest_rotation(matrix: torch.Tensor) -> torch.Tensor:
    """Return the orthogonal R with the largest tr(Rᵀ matrix): the polar factor."""
    left, _, right = torch.linalg.svd(matrix)
    polar: torch.Tensor = left @ right
    return polar


class Rbnn(Binarizer):
    """Rotated weights, the training-aware estimator for both operands, a learned scale."""

    name = "rbnn"
    paper = "Lin et al., Rotated Binary Neural Network, NeurIPS 2020"

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return the sign with the estimator."""
        del geometry
        return TrainingAwareSign()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Return the rotated sign."""
        return RotatedSign(geometry)

    def scale(self, geometry: Geometry) -> nn.Module:
        """Return the learned scale."""
        return LearnedScale(geometry)

    def activation(self) -> nn.Module:
        """Return the same sign as for inputs."""
        return TrainingAwareSign()

    def on_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None:
        """Set t = 10^(-2 + 3 epoch / epochs), and find the rotations."""
        exponent = FIRST_EXPONENT + epoch / epochs * (LAST_EXPONENT - FIRST_EXPONENT)
        for module in model.modules():
            if isinstance(module, TrainingAwareSign):
                module.t = 10**exponent
            if isinstance(getattr(module, "weights", None), RotatedSign):
                module.weights.align(module.weight)  # type: ignore[operator, union-attr]
