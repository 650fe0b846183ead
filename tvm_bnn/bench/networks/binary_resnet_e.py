"""BinaryResNetE-18: as Bi-Real-Net-18, but weights without scales and a rectified stem (Bethge et al., 2019)."""

from __future__ import annotations

from torch import nn

from tvm_bnn.bench.networks.parts import head, residual_stages


def binary_resnet_e_18(binary: bool, width: int = 64, classes: int = 1000) -> nn.Module:
    """Return 16 layers of 3x3; batch norm behind the stem's pooling keeps signs about zero."""
    widths = [width * factor for factor in (1, 2, 4, 8)]
    stem = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    stages = residual_stages(widths, 4, binary=binary, scaled=False)
    return nn.Sequential(*stem, nn.BatchNorm2d(width), *stages, nn.ReLU(), head(widths[-1], classes))
