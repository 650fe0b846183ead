"""XNOR-Net: batch norm, sign, convolution, ReLU, with a scale per filter (Rastegari et al., ECCV 2016).

The best-known code leaves out the paper's K map (the scale per output pixel, eq. 11) and lets the training script
binarize the weights, so that the checkpoint holds ±α; other code scales every sample, or computes K.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import Sign, channel_mean, real_stem, sign
from experiments.families.family import Family, normal


class BinaryLayer(nn.Sequential):
    """Marks a convolution or linear whose weights the training script binarizes."""

    def __init__(self, norm: nn.Module, layer: nn.Conv2d | nn.Linear, dropout: float = 0.0) -> None:
        super().__init__(norm, Sign(), nn.Dropout(dropout), layer, nn.ReLU(inplace=True))


def binarize_weights(module: nn.Module) -> None:
    """Centre over input channels, clamp to [-1, 1] and replace by ±mean|w| per filter, as the script does."""
    for block in module.modules():
        layer = block[3] if isinstance(block, BinaryLayer) else None
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight.data
            weight = (weight - weight.mean(1, keepdim=True)).clamp(-1, 1)
            layer.weight.data = channel_mean(weight.abs()) * weight.sign()


def binary_conv(inputs: int, outputs: int, size: int, padding: int = 0, dropout: float = 0.0) -> BinaryLayer:
    """Return batch norm, sign, convolution with bias, ReLU."""
    norm = nn.BatchNorm2d(inputs, eps=1e-4, momentum=0.1)
    return BinaryLayer(norm, nn.Conv2d(inputs, outputs, size, padding=padding), dropout)


def network_in_network() -> nn.Module:
    """Return the CIFAR network in network: 5×5 and 3×3 layers, each followed by 1×1 layers."""
    return nn.Sequential(
        *(nn.Conv2d(3, 24, 5, padding=2), nn.BatchNorm2d(24, eps=1e-4), nn.ReLU(inplace=True)),
        *(binary_conv(24, 20, 1), binary_conv(20, 12, 1), nn.MaxPool2d(3, 2, 1)),
        *(binary_conv(12, 24, 5, 2, dropout=0.5), binary_conv(24, 24, 1), nn.AvgPool2d(3, 2, 1)),
        *(binary_conv(24, 24, 3, 1, dropout=0.5), binary_conv(24, 16, 1)),
        *(nn.BatchNorm2d(16, eps=1e-4), nn.Conv2d(16, 10, 1), nn.ReLU(inplace=True)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def lenet() -> nn.Module:
    """Return the MNIST LeNet: a real and a binary 5×5 layer, a binary and a real linear."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5), nn.BatchNorm2d(8, eps=1e-4), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(binary_conv(8, 16, 5), nn.MaxPool2d(2), nn.Flatten()),
        BinaryLayer(nn.BatchNorm1d(16 * 4 * 4, eps=1e-4), nn.Linear(16 * 4 * 4, 40), 0.5),
        nn.Linear(40, 10),
    )


class KMapConv2d(nn.Conv2d):
    """The paper's convolution: signs, times the local mean of |x|, times the scale of the filter (eq. 11)."""

    box: torch.Tensor

    def __init__(self, inputs: int, outputs: int, size: int, padding: int) -> None:
        super().__init__(inputs, outputs, size, padding=padding)
        self.register_buffer("box", torch.full((1, 1, size, size), 1 / size**2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute K from the mean over channels, and scale the integer convolution by it."""
        k = functional.conv2d(x.abs().mean(1, keepdim=True), self.box, None, self.stride, self.padding)
        alpha = channel_mean(self.weight.abs()).view(1, -1, 1, 1)
        return functional.conv2d(sign(x), sign(self.weight), None, self.stride, self.padding) * k * alpha


class SampleScaleConv2d(nn.Conv2d):
    """Scales the signs of each sample by its mean |x| before the convolution; weights centred, times their scale."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and convolve."""
        activation = x.sign() * x.abs().mean((1, 2, 3), keepdim=True)
        centred = self.weight - channel_mean(self.weight)
        weight = sign(centred) * channel_mean(centred.abs()).detach()
        return functional.conv2d(activation, weight, self.bias, self.stride, self.padding)


class SampleScaleLinear(nn.Linear):
    """The same for a linear layer, one scale a row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and multiply."""
        activation = x.sign() * x.abs().mean(-1, keepdim=True)
        weight = sign(self.weight) * self.weight.abs().mean(1, keepdim=True)
        return functional.linear(activation, weight, self.bias)


def k_map_net() -> nn.Module:
    """Return a plain net of the paper's block: batch norm, binary activation and convolution, pooling."""
    return nn.Sequential(
        *(real_stem(3, 24), nn.ReLU()),
        *(nn.BatchNorm2d(24), KMapConv2d(24, 32, 3, 1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.BatchNorm2d(32), KMapConv2d(32, 32, 5, 2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.BatchNorm2d(32), KMapConv2d(32, 48, 1, 0), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10)),
    )


def sample_scale_net() -> nn.Module:
    """Return a plain net of two convolutions and a linear, with a scale a sample."""
    return nn.Sequential(
        *(real_stem(3, 16), nn.Hardtanh()),
        *(SampleScaleConv2d(16, 32, 3, padding=1), nn.MaxPool2d(2), nn.BatchNorm2d(32), nn.Hardtanh()),
        *(SampleScaleConv2d(32, 32, 3, padding=1), nn.MaxPool2d(2), nn.BatchNorm2d(32), nn.Hardtanh()),
        *(nn.Flatten(), SampleScaleLinear(32 * 3 * 3, 40), nn.BatchNorm1d(40), nn.Linear(40, 10)),
    )


FAMILIES = (
    Family(
        "XNOR-Net NIN",
        "Function sign after batch norm; the training script leaves ±α in the checkpoint",
        network_in_network,
        normal(1, 3, 16, 16),
        binary_layers=6,
        total_layers=8,
        prepare=binarize_weights,
    ),
    Family(
        "XNOR-Net LeNet",
        "Function sign after batch norm; the training script leaves ±α in the checkpoint",
        lenet,
        normal(2, 1, 28, 28),
        binary_layers=2,
        total_layers=4,
        prepare=binarize_weights,
    ),
    Family(
        "XNOR-Net, K map",
        "conv(sign(x), sign(w)) * K * alpha with K = conv(mean|x|, box)",
        k_map_net,
        normal(2, 3, 16, 16),
        binary_layers=3,
        total_layers=8,
        notes="the convolutions with the box are real",
    ),
    Family(
        "XNOR-Net, a scale a sample",
        "x.sign() * x.abs().mean(...) before the layer",
        sample_scale_net,
        normal(2, 3, 12, 12),
        binary_layers=3,
        total_layers=5,
    ),
)
