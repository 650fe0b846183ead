"""Bi-Real-Net-18: ResNet-18 with a shortcut around every binary convolution (Liu et al., ECCV 2018)."""

from __future__ import annotations

from torch import nn

from tvm_bnn.bench.networks.parts import head, residual_stages


def bi_real_net_18(binary: bool, width: int = 64, classes: int = 1000) -> nn.Module:
    """Return 16 layers of 3x3 behind a real 7x7 stem; the shortcuts of halving layers are real."""
    widths = [width * factor for factor in (1, 2, 4, 8)]
    norm = nn.BatchNorm2d(width)
    # What training does too: the maximum of nine normal numbers is 1.5 on average, and signs need both sides of zero.
    nn.init.constant_(norm.bias, -1.5)
    stem = [nn.Conv2d(3, width, 7, 2, 3, bias=False), norm, nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(
        *stem, *residual_stages(widths, 4, binary=binary, scaled=True), nn.ReLU(), head(widths[-1], classes)
    )
