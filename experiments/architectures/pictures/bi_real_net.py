"""Bi-Real-Net-18: ResNet-18 with a shortcut around every layer (Liu et al., ECCV 2018)."""

from __future__ import annotations

from torch import nn

from experiments.architectures.architecture import Architecture
from experiments.architectures.pictures.stems import CIFAR_IMAGE, IMAGENET_IMAGE, SMALL_IMAGE, plain_stem
from experiments.binarizers.parts.binarizer import Binarizer
from tvm_bnn.bench.networks.parts import Residual, head, pooled_shortcut

PAPER = "Liu et al., Bi-Real Net, ECCV 2018"
_SMALL_WIDTHS = (16, 32)
_WIDTHS = (64, 128, 256, 512)


def single_layers(binarizer: Binarizer, widths: tuple[int, ...], blocks: int) -> nn.Sequential:
    """Return stages of 3x3 layers, a shortcut around each; all stages but the first halve the image."""
    layers: list[nn.Module] = []
    inputs = widths[0]
    for stage, outputs in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            conv = binarizer.conv2d(inputs, outputs, 3, stride=stride, padding=1)
            body = nn.Sequential(conv, nn.BatchNorm2d(outputs))
            shortcut = pooled_shortcut(inputs, outputs) if stride != 1 else None
            layers += [Residual(body, shortcut), binarizer.nonlinearity(outputs)]
            inputs = outputs
    return nn.Sequential(*layers)


def bi_real_net_18(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return 16 layers of 3x3; small, four."""
    if small:
        body = single_layers(binarizer, _SMALL_WIDTHS, 2)
        return nn.Sequential(plain_stem(1, _SMALL_WIDTHS[0]), body, head(_SMALL_WIDTHS[-1], classes))
    # No ReLU in front of the first layer: signs want both sides of zero.
    stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(stem, single_layers(binarizer, _WIDTHS, 4), head(512, classes))


def bi_real_net_18_cifar(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return the same behind a 3x3 stem that keeps 32x32 images as they are."""
    if small:
        return bi_real_net_18(binarizer, classes, small)
    return nn.Sequential(plain_stem(3, 64), single_layers(binarizer, _WIDTHS, 4), head(512, classes))


ARCHITECTURES = (
    Architecture("bi-real-18", "cnn", "image", PAPER, bi_real_net_18, IMAGENET_IMAGE, SMALL_IMAGE),
    Architecture("bi-real-18-cifar", "cnn", "image", PAPER, bi_real_net_18_cifar, CIFAR_IMAGE, SMALL_IMAGE),
)
