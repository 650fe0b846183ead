"""VGG-small, the usual yardstick for CIFAR-10 (as in Zhang et al., LQ-Nets, ECCV 2018)."""

from __future__ import annotations

from torch import nn

from experiments.architectures.architecture import Architecture
from experiments.architectures.pictures.stems import CIFAR_IMAGE, SMALL_IMAGE, plain_stem
from experiments.binarizers.parts.binarizer import Binarizer

PAPER = "Zhang et al., LQ-Nets, ECCV 2018"
#: Output channels in multiples of the stem's, and whether a pool follows.
_LAYERS = ((1, True), (2, False), (2, True), (4, False), (4, True))


def vgg_small(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return six 3x3 layers, the first of them real, and a real classifier; small, three of an eighth of the width."""
    width, image = (16, 16) if small else (128, 32)
    layers: list[nn.Module] = [plain_stem(1 if small else 3, width)]
    inputs = width
    for factor, pool in _LAYERS[:3] if small else _LAYERS:
        outputs = width * factor
        layers += [binarizer.conv2d(inputs, outputs, 3, padding=1), *([nn.MaxPool2d(2)] if pool else [])]
        layers += [nn.BatchNorm2d(outputs), binarizer.nonlinearity(outputs)]
        image //= 2 if pool else 1
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * image * image, classes))


ARCHITECTURES = (Architecture("vgg-small", "cnn", "image", PAPER, vgg_small, CIFAR_IMAGE, SMALL_IMAGE),)
