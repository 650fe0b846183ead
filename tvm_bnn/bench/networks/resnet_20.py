"""ResNet-20 for CIFAR-10, binarized as in IR-Net (Qin et al., CVPR 2020): a shortcut without parameters a layer."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tvm_bnn.bench.networks.parts import Residual, activation, conv, head


class SubsampleAndWiden(nn.Module):
    """Takes every other pixel and surrounds the channels by as many zeros (He et al., option A)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, C, H, W)`` to ``(N, 2C, H/2, W/2)``."""
        half = x.shape[1] // 2
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))


def resnet_20(binary: bool, width: int = 16, classes: int = 10) -> nn.Module:
    """Return 18 layers of 3x3 in three stages behind a real one."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
    inputs = width
    for stage, factor in enumerate((1, 2, 4)):
        for block in range(6):
            stride = 2 if stage and not block else 1
            outputs = width * factor
            made = conv(inputs, outputs, 3, stride, binary=binary)
            body = nn.Sequential(activation(binary), made, nn.BatchNorm2d(outputs))
            layers.append(Residual(body, SubsampleAndWiden() if stride != 1 else None))
            inputs = outputs
    return nn.Sequential(*layers, nn.Hardtanh(), head(inputs, classes))
