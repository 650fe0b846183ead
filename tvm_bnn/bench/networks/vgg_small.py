"""VGG-small, the usual yardstick for CIFAR-10: convolution, max pooling, batch norm, sign, in this order."""

from __future__ import annotations

from torch import nn

from tvm_bnn.bench.networks.parts import activation, conv


def vgg_small(binary: bool, width: int = 128, classes: int = 10) -> nn.Module:
    """Return six 3x3 convolutions, the first of them real, and a real classifier of what they find on 4x4 pixels."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), activation(binary)]
    inputs = width
    for factor, pool in ((1, True), (2, False), (2, True), (4, False), (4, True)):
        outputs = width * factor
        layers += [conv(inputs, outputs, 3, binary=binary), *([nn.MaxPool2d(2)] if pool else [])]
        layers += [nn.BatchNorm2d(outputs), activation(binary)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * 4 * 4, classes))
