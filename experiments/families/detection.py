"""BiDet: a binarized single-shot detector with dilated layers (Wang et al., CVPR 2020, arXiv 2003.03961)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import channel_mean, polynomial_sign, real_stem
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


class Detector(nn.Module):
    """Two feature maps; on each a real convolution for boxes and one for classes."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *(real_stem(3, 16), nn.MaxPool2d(2), layer(16, 32, 3), nn.MaxPool2d(2, ceil_mode=True), layer(32, 32, 3))
        )
        self.context = nn.Sequential(layer(32, 48, 3, dilation=6), layer(48, 48, 3, dilation=2), layer(48, 48, 1))
        self.extra = nn.Sequential(layer(48, 24, 1), layer(24, 48, 3, stride=2))
        self.boxes = nn.ModuleList(nn.Conv2d(48, 4, 3, padding=1) for _ in range(2))
        self.classes = nn.ModuleList(nn.Conv2d(48, CLASSES, 3, padding=1) for _ in range(2))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return boxes ``(N, anchors, 4)`` and class scores ``(N, anchors, CLASSES)``."""
        near = self.context(self.trunk(x))
        maps = (near, self.extra(near))
        boxes, classes = (
            torch.cat([head(m).permute(0, 2, 3, 1).contiguous().view(len(m), -1) for head, m in zip(heads, maps, strict=True)], 1)
            for heads in (self.boxes, self.classes)
        )
        return boxes.view(len(x), -1, 4), functional.softmax(classes.view(len(x), -1, CLASSES), dim=-1)


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
