"""Families that reshape the latent weights before their sign: IR-Net, DIR-Net, ReCU, RBNN, BiPer.

All of it depends on parameters alone, so a compiler that folds constants sees plain ±α.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import apply, channel_mean, resnet, sign
from experiments.families.family import Family, normal


class ErrorDecaySign(torch.autograd.Function):
    """Sign whose gradient is k·t·(1 - tanh²(t·x)) (the error decay estimator of IR-Net)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, k: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return sign(x); ``k`` and ``t`` shape the gradient only."""
        ctx.save_for_backward(x, k, t)
        return torch.sign(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Scale the gradient by the derivative of the estimator."""
        x, k, t = ctx.saved_tensors
        return k * t * (1 - torch.pow(torch.tanh(x * t), 2)) * gradient, None, None


def row_mean(w: torch.Tensor) -> torch.Tensor:
    """Mean per output channel, spelled with views."""
    return w.view(w.size(0), -1).mean(-1).view(w.size(0), 1, 1, 1)


class BalancedConv2d(nn.Conv2d):
    """IR-Net (Qin et al., CVPR 2020): weights centred, over their unbiased deviation, times a power of two."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.k, self.t = torch.tensor([10.0]), torch.tensor([0.1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands; the scale goes into the weights."""
        balanced = self.weight - row_mean(self.weight)
        balanced = balanced / balanced.view(balanced.size(0), -1).std(-1).view(balanced.size(0), 1, 1, 1)
        exponent = (torch.log(row_mean(balanced.abs())) / math.log(2)).round()
        scale = torch.pow(torch.tensor([2.0] * balanced.size(0)).view(balanced.size(0), 1, 1, 1), exponent).detach()
        weight = apply(ErrorDecaySign, balanced, self.k, self.t) * scale
        activation = apply(ErrorDecaySign, x, self.k, self.t)
        return functional.conv2d(activation, weight, self.bias, self.stride, self.padding)


class ShiftedOutputConv2d(BalancedConv2d):
    """DIR-Net (Qin et al., IJCV 2022): the same weights; the shift multiplies the output, as hardware would do it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve signs, then scale by a power of two per channel."""
        deviation, mean = torch.std_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        balanced = (self.weight - mean) / deviation
        shift = balanced.abs().mean(dim=(1, 2, 3)).log2().round().exp2()
        out = functional.conv2d(sign(x), sign(balanced), None, self.stride, self.padding)
        return out * shift[None, :, None, None]


class RectifiedClampConv2d(nn.Conv2d):
    """ReCU: weights standardised, outliers clamped to the τ quantiles, sign (Xu et al., ICCV 2021)."""

    tau = 0.99

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.alpha = nn.Parameter(torch.rand(outputs, 1, 1) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Read the quantiles as numbers, binarize, scale by the learned α."""
        centred = self.weight - channel_mean(self.weight)
        standard = centred / torch.sqrt(centred.var([1, 2, 3], keepdim=True) + 1e-5)
        upper = torch.quantile(standard.detach(), self.tau).item()
        lower = torch.quantile(standard.detach(), 1 - self.tau).item()
        weight = torch.sign(torch.clamp(standard, lower, upper))
        return functional.conv2d(sign(x), weight, None, self.stride, self.padding) * self.alpha


class RotatedConv2d(nn.Conv2d):
    """RBNN: weights turned towards their signs by two small rotations (Lin et al., NeurIPS 2020)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.alpha = nn.Parameter(torch.rand(outputs, 1, 1) + 0.5)
        self.theta = nn.Parameter(torch.rand(1) * torch.pi)
        self.left = nn.Parameter(torch.linalg.qr(torch.randn(inputs, inputs))[0], requires_grad=False)
        self.right = nn.Parameter(torch.linalg.qr(torch.randn(9, 9))[0], requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Standardise every sample, at inference too; blend the weights with their rotation by sin θ."""
        mean, deviation = x.mean([1, 2, 3], keepdim=True), x.std([1, 2, 3], keepdim=True)
        activation = sign((x - mean) / deviation)
        standard = self.weight - channel_mean(self.weight)
        standard = standard / standard.std([1, 2, 3], keepdim=True)
        matrices = standard.view(len(standard), -1, 9)
        rotated = (self.left.t() @ matrices @ self.right).view_as(standard)
        blended = standard + torch.abs(torch.sin(self.theta)) * (rotated - standard)
        return functional.conv2d(activation, sign(blended), None, self.stride, self.padding) * self.alpha


class PeriodicConv2d(nn.Conv2d):
    """BiPer: weights are a square wave of the latent ones, sign(sin(ω·w)) (Vargas et al., CVPR 2024)."""

    frequency = 20.0

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.alpha = nn.Parameter(torch.rand(outputs, 1, 1) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands, convolve, scale by the learned α."""
        weight = torch.sin(self.frequency * self.weight).sign()
        return functional.conv2d(sign(x), weight, None, self.stride, self.padding) * self.alpha


FAMILIES = (
    Family(
        "IR-Net ResNet-20",
        "Function sign of (w - mean) / std, times 2 ** round(log2 mean|w|)",
        lambda: resnet(BalancedConv2d),
        normal(1, 3, 16, 16),
        binary_layers=4,
        total_layers=6,
    ),
    Family(
        "DIR-Net ResNet-20",
        "sign of std_mean-standardised weights; a power of two multiplies the output",
        lambda: resnet(ShiftedOutputConv2d),
        normal(1, 3, 16, 16),
        binary_layers=4,
        total_layers=6,
    ),
    Family(
        "ReCU ResNet-20",
        "sign(clamp((w - mean) / sqrt(var + eps), lower, upper)) with bounds read by .item()",
        lambda: resnet(RectifiedClampConv2d),
        normal(1, 3, 16, 16),
        binary_layers=4,
        total_layers=6,
        notes="export keeps the bounds as symbolic numbers, read by aten.item",
    ),
    Family(
        "RBNN ResNet-20",
        "sign of the sample's (x - mean) / std; sign of weights blended with their rotation",
        lambda: resnet(RotatedConv2d),
        normal(2, 3, 16, 16),
        binary_layers=4,
        total_layers=6,
        notes="the products with the rotations read parameters only and are not counted",
    ),
    Family(
        "BiPer, second stage",
        "sin(20 * w).sign()",
        lambda: resnet(PeriodicConv2d),
        normal(1, 3, 16, 16),
        binary_layers=4,
        total_layers=6,
    ),
)
