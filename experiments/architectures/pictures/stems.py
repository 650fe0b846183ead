"""The real ends of image networks: BiBench, as everybody, leaves the first layer and the classifier real."""

from __future__ import annotations

from torch import nn

from experiments.architectures.architecture import InputSpec

SMALL_IMAGE = (InputSpec((1, 16, 16)),)
CIFAR_IMAGE = (InputSpec((3, 32, 32)),)
IMAGENET_IMAGE = (InputSpec((3, 224, 224)),)


def imagenet_stem(width: int) -> nn.Sequential:
    """Return 7x7, stride 2, and a maximum pool: a quarter of the image's side is left."""
    conv = nn.Conv2d(3, width, 7, 2, 3, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1))


def plain_stem(channels: int, width: int) -> nn.Sequential:
    """Return a 3x3 layer that keeps the image's size."""
    return nn.Sequential(nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.Hardtanh())
