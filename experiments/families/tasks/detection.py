"""BiDet: a binarized single-shot detector with dilated layers (Wang et al., CVPR 2020, arXiv 2003.03961)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import channel_mean, polynomial_sign
from experiments.families.family import Family, normal

CLASSES = 4


class MinusOnePaddedConv2d(nn.Conv2d):
    """Two-order sign of the input, padded by -1; mean|w|·sign(w) per filter."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize, pad and convolve."""
        rows, columns = int(self.padding[0]), int(self.padding[1])
        signs = functional.pad(polynomial_sign(x), (columns, columns, rows, rows), value=-1.0)
        weight = channel_mean(self.weight.abs()) * polynomial_sign(self.weight)
        return functional.conv2d(signs, weight, self.bias, self.stride, 0, self.dilation, self.groups)


def layer(inputs: int, outputs: int, size: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return a binary convolution that keeps the image's size (at stride 1), with batch norm."""
    padding = dilation * (size // 2)
    conv = MinusOnePaddedConv2d(inputs, outputs, size, stride, padding, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Head(nn.Module):
    """Real convolutions, one for each feature map; their outputs in one row of anchors."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self.values = values
        self.near, self.far = (nn.Conv2d(48, values, 3, padding=1) for _ in range(2))

    def forward(self, near: torch.Tensor, far: torch.Tensor) -> torch.Tensor:
        """Return ``(N, anchors, values)``."""
        maps = [conv(features).permute(0, 2, 3, 1) for conv, features in ((self.near, near), (self.far, far))]
        anchors = torch.cat([values.contiguous().view(len(values), -1) for values in maps], dim=1)
        return anchors.view(len(near), -1, self.values)


class Detector(nn.Module):
    """Two feature maps, the second from extra layers; on each one head for boxes and one for classes."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(16)),
            *(layer(16, 32, 3), nn.MaxPool2d(2, ceil_mode=True), layer(32, 32, 3)),
        )
        self.context = nn.Sequential(layer(32, 48, 3, dilation=6), layer(48, 48, 3, dilation=2), layer(48, 48, 1))
        self.extra = nn.Sequential(layer(48, 24, 1), layer(24, 48, 3, stride=2))
        self.boxes, self.classes = Head(4), Head(CLASSES)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return boxes ``(N, anchors, 4)`` and class scores ``(N, anchors, CLASSES)``."""
        near = self.context(self.trunk(x))
        far = self.extra(near)
        return self.boxes(near, far), functional.softmax(self.classes(near, far), dim=-1)


FAMILIES = (
    Family(
        "BiDet SSD",
        "trick(sign, polynomial) on both operands, padded by -1, dilated",
        Detector,
        normal(1, 3, 30, 30),
        binary_layers=7,
        total_layers=12,
        notes="two outputs; the heads are real",
    ),
)
