"""BinaryNet: both operands by sign alone, the bias added afterwards (Hubara et al., NeurIPS 2016, arXiv 1602.02830).

The published code binarizes whatever does not look like an image, by an autograd function that may work in place, and
its older forks write the signs into ``Tensor.data``. A checkpoint is saved after validation, so its weights are signs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import InplaceFunction
from torch.nn import functional

from experiments.families.building_blocks import apply
from experiments.families.family import Family, normal

IMAGE_CHANNELS = 3


class ScaledQuantizer(InplaceFunction):
    """div, sign, mul by a scale that is 1; straight through."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, inplace: bool = False) -> torch.Tensor:
        """Return the signs, in the storage of ``x`` if asked."""
        if inplace:
            ctx.mark_dirty(x)
            return x.div_(1).sign_().mul_(1)
        return x.clone().div(1).sign().mul(1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Pass the gradient; the Hardtanh before it clips."""
        return gradient, None


class FunctionConv2d(nn.Conv2d):
    """Binarizes what is not an image, and its weights, by the function."""

    inplace = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve signs, then add the bias."""
        if x.size(1) != IMAGE_CHANNELS:
            x = apply(ScaledQuantizer, x, self.inplace)
        out = functional.conv2d(x, apply(ScaledQuantizer, self.weight), None, self.stride, self.padding)
        if self.bias is not None:
            out += self.bias.view(1, -1, 1, 1).expand_as(out)
        return out


class InplaceConv2d(FunctionConv2d):
    """The same, overwriting its input."""

    inplace = True


class FunctionLinear(nn.Linear):
    """Binary linear layer by the function."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply signs, then add the bias."""
        out = functional.linear(apply(ScaledQuantizer, x), apply(ScaledQuantizer, self.weight))
        out += self.bias.view(1, -1).expand_as(out)
        return out


def latent(weight: torch.Tensor) -> torch.Tensor:
    """Return the real weights that training keeps beside the parameter, which holds the signs."""
    if not hasattr(weight, "org"):
        weight.org = weight.data.clone()  # type: ignore[attr-defined]
    kept: torch.Tensor = weight.org  # type: ignore[attr-defined]
    return kept


class DataConv2d(nn.Conv2d):
    """Writes the signs of input and weights into their ``data``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve signs, then add the bias."""
        if x.size(1) != IMAGE_CHANNELS:
            x.data = x.data.sign()
        self.weight.data = latent(self.weight).sign()
        out = functional.conv2d(x, self.weight, None, self.stride, self.padding)
        if self.bias is not None:
            out += self.bias.view(1, -1, 1, 1).expand_as(out)
        return out


class DataLinear(nn.Linear):
    """Writes the signs of input and weights into their ``data``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply signs, then add the bias."""
        x.data = x.data.sign()
        self.weight.data = latent(self.weight).sign()
        out = functional.linear(x, self.weight)
        out += self.bias.view(1, -1).expand_as(out)
        return out


def batch_norm_2d(channels: int) -> list[nn.Module]:
    """Return batch norm and the clipping non-linearity."""
    return [nn.BatchNorm2d(channels), nn.Hardtanh(inplace=True)]


def batch_norm_1d(features: int) -> list[nn.Module]:
    """Return batch norm and the clipping non-linearity."""
    return [nn.BatchNorm1d(features), nn.Hardtanh(inplace=True)]


def vgg(conv: type[nn.Conv2d]) -> nn.Module:
    """Return the CIFAR VGG: convolutions in pairs, a pooling before the second batch norm, three linears."""
    return nn.Sequential(
        *(conv(3, 16, 3, padding=1), *batch_norm_2d(16)),
        *(conv(16, 16, 3, padding=1), nn.MaxPool2d(2), *batch_norm_2d(16)),
        *(conv(16, 32, 3, padding=1), *batch_norm_2d(32)),
        *(conv(32, 32, 3, padding=1), nn.MaxPool2d(2), *batch_norm_2d(32)),
        nn.Flatten(),
        *(FunctionLinear(32 * 4 * 4, 64), *batch_norm_1d(64)),
        *(FunctionLinear(64, 64), *batch_norm_1d(64)),
        *(FunctionLinear(64, 10), nn.BatchNorm1d(10), nn.LogSoftmax(dim=1)),
    )


def alexnet() -> nn.Module:
    """Return the ImageNet AlexNet: 11×11 with stride 4, 5×5, 3×3, 1×1, two linears."""
    return nn.Sequential(
        *(DataConv2d(3, 24, 11, stride=4, padding=2), *batch_norm_2d(24)),
        *(DataConv2d(24, 32, 5, padding=2), nn.MaxPool2d(3, 2), *batch_norm_2d(32)),
        *(DataConv2d(32, 32, 3, padding=1), *batch_norm_2d(32)),
        *(DataConv2d(32, 24, 1), nn.MaxPool2d(3, 2), *batch_norm_2d(24)),
        nn.Flatten(),
        *(DataLinear(24 * 3 * 3, 48), *batch_norm_1d(48)),
        *(DataLinear(48, 10), nn.BatchNorm1d(10), nn.LogSoftmax(dim=1)),
    )


FAMILIES = (
    Family(
        "BinaryNet VGG",
        "Function x.div(1).sign().mul(1) on input and weights, bias added after",
        lambda: vgg(FunctionConv2d),
        normal(2, 3, 16, 16),
        binary_layers=6,
        total_layers=7,
        notes="the first layer has binary weights but a real image",
    ),
    Family(
        "BinaryNet VGG, in place",
        "InplaceFunction that marks its input dirty and overwrites it",
        lambda: vgg(InplaceConv2d),
        normal(2, 3, 16, 16),
        binary_layers=6,
        total_layers=7,
        notes="the first layer has binary weights but a real image",
    ),
    Family(
        "BinaryNet AlexNet, data writes",
        "x.data = x.data.sign(); weight.data = weight.org.sign()",
        alexnet,
        normal(1, 3, 64, 64),
        binary_layers=5,
        total_layers=6,
        exports=False,
        notes="the first layer has binary weights but a real image; the parameters hold signs",
    ),
)
