"""Shapes that hurt: one binary layer of an awkward shape each, then a 1×1 layer of its outputs."""

from __future__ import annotations

import dataclasses

from torch import nn

from experiments.families.building_blocks import PolynomialSign, ScaledSignConv2d, pooled_head
from experiments.families.family import Family, normal


@dataclasses.dataclass(frozen=True)
class Shape:
    """The awkward layer and the image that reaches it; pairs are rows, columns."""

    what: str
    inputs: int
    outputs: int
    image: tuple[int, int]
    kernel: tuple[int, int] = (3, 3)
    padding: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    batch: int = 1

    def network(self) -> nn.Module:
        """Return real layer, awkward layer, 1×1 layer, classifier."""
        awkward = ScaledSignConv2d(
            self.inputs,
            self.outputs,
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            bias=False,
        )
        return nn.Sequential(
            *(nn.Conv2d(3, self.inputs, 1, bias=False), nn.BatchNorm2d(self.inputs), PolynomialSign()),
            *(awkward, nn.BatchNorm2d(self.outputs), PolynomialSign()),
            *(ScaledSignConv2d(self.outputs, 16, 1), nn.BatchNorm2d(16), nn.Hardtanh(), pooled_head(16)),
        )

    def family(self) -> Family:
        """Return the entry for the catalog."""
        idiom = "trick(sign, polynomial); trick(α·sign(w), clamp)"
        inputs = normal(self.batch, 3, *self.image)
        return Family(f"Shape: {self.what}", idiom, self.network, inputs, binary_layers=2, total_layers=4)


SHAPES = (
    Shape("1 channel", 1, 8, (7, 7)),
    Shape("3 channels", 3, 1, (9, 11)),
    Shape("31 channels, one row", 31, 33, (1, 9)),
    Shape("33 channels, odd image", 33, 31, (7, 5)),
    Shape("48 channels", 48, 48, (8, 8)),
    Shape("63 channels", 63, 65, (5, 5)),
    Shape("65 channels, one pixel", 65, 63, (1, 1)),
    Shape("depth 4608", 512, 8, (4, 4)),
    Shape("stride 2, odd image", 32, 32, (9, 7), stride=(2, 2)),
    Shape("stride 3", 24, 40, (11, 10), stride=(3, 3)),
    Shape("stride by row only", 16, 16, (8, 9), stride=(2, 1)),
    Shape("dilation 2", 32, 24, (9, 9), padding=(2, 2), dilation=(2, 2)),
    Shape("dilation 3, stride 2, no padding", 24, 24, (13, 12), padding=(0, 0), stride=(2, 2), dilation=(3, 3)),
    Shape("4 groups", 32, 64, (8, 8), groups=4),
    Shape("3 groups of 11 channels", 33, 66, (6, 7), groups=3),
    Shape("5×5", 32, 16, (7, 7), kernel=(5, 5), padding=(2, 2)),
    Shape("1×7", 40, 24, (6, 9), kernel=(1, 7), padding=(0, 3)),
    Shape("7×1 with stride", 17, 24, (10, 5), kernel=(7, 1), padding=(3, 0), stride=(2, 1)),
    Shape("2×2", 32, 32, (7, 7), kernel=(2, 2)),
    Shape("padding wider than the kernel needs", 32, 16, (5, 5), padding=(3, 2)),
    Shape("batch 3", 48, 32, (5, 6), batch=3),
)

FAMILIES = tuple(shape.family() for shape in SHAPES)
