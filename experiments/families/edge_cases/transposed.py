"""A U-Net with binary transposed convolutions (Ronneberger et al., MICCAI 2015, binarized as in Bi-Real Net)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import ScaledSignConv2d, Sign, real_stem, sign
from experiments.families.family import Family, normal


class BinaryConvTranspose2d(nn.Module):
    """Transposed convolution of signs; its weights have the input channels first, and one scale per output channel."""

    def __init__(self, inputs: int, outputs: int, size: int, padding: int) -> None:
        super().__init__()
        self.padding = padding
        self.weight = nn.Parameter(0.1 * torch.randn(inputs, outputs, size, size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and double the image."""
        scale = self.weight.abs().mean(dim=(0, 2, 3), keepdim=True)
        return functional.conv_transpose2d(sign(x), sign(self.weight) * scale, None, 2, self.padding)


def down(inputs: int, outputs: int) -> nn.Sequential:
    """Return sign, binary 3×3 with stride 2, batch norm."""
    conv = ScaledSignConv2d(inputs, outputs, 3, 2, 1, bias=False)
    return nn.Sequential(Sign(), conv, nn.BatchNorm2d(outputs), nn.PReLU(outputs))


def up(inputs: int, outputs: int, size: int, padding: int) -> nn.Sequential:
    """Return transposed binary convolution, batch norm."""
    conv = BinaryConvTranspose2d(inputs, outputs, size, padding)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.PReLU(outputs))


class UNet(nn.Module):
    """Two levels: up by 2×2 without overlap, and by 4×4 with overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = real_stem(3, 16)
        self.down1, self.down2 = down(16, 32), down(32, 48)
        self.up1, self.up2 = up(48, 24, 2, 0), up(24 + 32, 16, 4, 1)
        self.head = nn.Conv2d(32, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Segment ``(N, 3, H, W)``, H and W multiples of four, into two classes."""
        full = self.stem(x)
        half = self.down1(full)
        deep = self.up1(self.down2(half))
        mask: torch.Tensor = self.head(torch.cat([self.up2(torch.cat([deep, half], 1)), full], 1))
        return mask


FAMILIES = (
    Family(
        "Binary U-Net",
        "Function sign; α·sign(w) with the scale over axes 0, 2, 3 of a transposed kernel",
        UNet,
        normal(1, 3, 16, 16),
        binary_layers=4,
        total_layers=6,
    ),
)
