"""Bi-Real Net: a shortcut around every binary convolution, a polynomial for sign (Liu et al., ECCV 2018)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import PolynomialSign, Residual, pooled_head, real_stem
from experiments.families.family import Family, normal


class HardBinaryConv(nn.Module):
    """3×3 convolution whose latent weights are one column, viewed as filters; binarized by the detach trick."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.shape = (outputs, inputs, 3, 3)
        self.weights = nn.Parameter(0.1 * torch.randn(inputs * outputs * 9, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve; the scale is the mean of |w| one axis after the other."""
        real = self.weights.view(self.shape)
        by_row = torch.mean(torch.mean(torch.abs(real), dim=3, keepdim=True), dim=2, keepdim=True)
        scale = torch.mean(by_row, dim=1, keepdim=True).detach()
        hard = scale * torch.sign(real)
        clipped = torch.clamp(real, -1.0, 1.0)
        weight = hard.detach() - clipped.detach() + clipped
        return functional.conv2d(x, weight, stride=self.stride, padding=1)


def block(inputs: int, outputs: int, stride: int = 1) -> Residual:
    """Return sign, binary convolution and batch norm around a shortcut; a wider block pools and convolves it."""
    body = nn.Sequential(PolynomialSign(), HardBinaryConv(inputs, outputs, stride), nn.BatchNorm2d(outputs))
    if stride == 1:
        return Residual(body)
    conv = nn.Conv2d(inputs, outputs, 1, bias=False)
    return Residual(body, nn.Sequential(nn.AvgPool2d(2, stride), conv, nn.BatchNorm2d(outputs)))


def lower_stem(module: nn.Module) -> None:
    """Shift the stem down by one deviation: a trained bias keeps the maxima of the pooling behind it about zero."""
    norm = module.get_submodule("0.1")
    if isinstance(norm, nn.BatchNorm2d):
        norm.bias.data -= 1.0


def bi_real_net() -> nn.Module:
    """Return a net of six blocks, two of which halve the image."""
    blocks = (block(16, 16), block(16, 16), block(16, 32, 2), block(32, 32), block(32, 64, 2), block(64, 64))
    return nn.Sequential(real_stem(3, 16, 2), nn.MaxPool2d(3, 2, 1), *blocks, pooled_head(64))


FAMILIES = (
    Family(
        "Bi-Real Net",
        "s.detach() - p.detach() + p with p from lt masks; weights (N, 1) viewed as filters",
        bi_real_net,
        normal(1, 3, 32, 32),
        binary_layers=6,
        total_layers=10,
        notes="the convolutions of the shortcuts are real",
        prepare=lower_stem,
    ),
)
