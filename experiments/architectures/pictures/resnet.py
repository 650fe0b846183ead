"""ResNet-18, -34 and -20: two layers to a shortcut (He et al., CVPR 2016)."""

from __future__ import annotations

import torch
from torch import nn

from experiments.architectures.architecture import Architecture
from experiments.architectures.pictures.stems import CIFAR_IMAGE, IMAGENET_IMAGE, SMALL_IMAGE, imagenet_stem, plain_stem
from experiments.binarizers.parts.binarizer import Binarizer
from tvm_bnn.bench.networks.parts import head
from tvm_bnn.bench.networks.resnet_20 import SubsampleAndWiden

PAPER = "He et al., Deep Residual Learning, CVPR 2016"
_SMALL_WIDTHS = (16, 32)


class BasicBlock(nn.Module):
    """Two 3x3 layers with a shortcut around both; ``option`` B halves it by a real 1x1 layer, A without parameters."""

    def __init__(self, binarizer: Binarizer, inputs: int, outputs: int, stride: int, option: str) -> None:
        super().__init__()
        self.first = nn.Sequential(
            binarizer.conv2d(inputs, outputs, 3, stride=stride, padding=1),
            nn.BatchNorm2d(outputs),
            binarizer.nonlinearity(outputs),
        )
        self.second = nn.Sequential(binarizer.conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs))
        self.shortcut = _shortcut(inputs, outputs, stride, option)
        self.nonlinearity = binarizer.nonlinearity(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``nonlinearity(second(first(x)) + shortcut(x))``."""
        y: torch.Tensor = self.nonlinearity(self.second(self.first(x)) + self.shortcut(x))
        return y


def _shortcut(inputs: int, outputs: int, stride: int, option: str) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    if option == "A":
        return SubsampleAndWiden()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def stages(binarizer: Binarizer, widths: tuple[int, ...], blocks: tuple[int, ...], option: str = "B") -> nn.Sequential:
    """Return stages of blocks; all but the first halve the image."""
    layers = []
    inputs = widths[0]
    for stage, (outputs, count) in enumerate(zip(widths, blocks, strict=True)):
        for block in range(count):
            stride = 2 if stage and not block else 1
            layers.append(BasicBlock(binarizer, inputs, outputs, stride, option))
            inputs = outputs
    return nn.Sequential(*layers)


def imagenet_resnet(binarizer: Binarizer, classes: int, small: bool, blocks: tuple[int, ...]) -> nn.Module:
    """Return four stages behind the 7x7 stem; small, two stages of half the blocks behind a 3x3 one."""
    if small:
        few = tuple(max(1, count // 2) for count in blocks[:2])
        body = stages(binarizer, _SMALL_WIDTHS, few)
        return nn.Sequential(plain_stem(1, _SMALL_WIDTHS[0]), body, head(_SMALL_WIDTHS[-1], classes))
    return nn.Sequential(imagenet_stem(64), stages(binarizer, (64, 128, 256, 512), blocks), head(512, classes))


def resnet_18(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return 16 layers of 3x3."""
    return imagenet_resnet(binarizer, classes, small, (2, 2, 2, 2))


def resnet_34(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return 32 layers of 3x3."""
    return imagenet_resnet(binarizer, classes, small, (3, 4, 6, 3))


def resnet_18_cifar(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return ResNet-18's four stages behind a 3x3 stem, as CIFAR-10 takes them."""
    if small:
        return resnet_18(binarizer, classes, small)
    body = stages(binarizer, (64, 128, 256, 512), (2, 2, 2, 2))
    return nn.Sequential(plain_stem(3, 64), body, head(512, classes))


def resnet_20(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return 18 layers of 3x3 with shortcuts without parameters."""
    if small:
        body = stages(binarizer, _SMALL_WIDTHS, (1, 1), "A")
        return nn.Sequential(plain_stem(1, _SMALL_WIDTHS[0]), body, head(_SMALL_WIDTHS[-1], classes))
    return nn.Sequential(plain_stem(3, 16), stages(binarizer, (16, 32, 64), (3, 3, 3), "A"), head(64, classes))


ARCHITECTURES = (
    Architecture("resnet-18", "cnn", "image", PAPER, resnet_18, IMAGENET_IMAGE, SMALL_IMAGE),
    Architecture("resnet-34", "cnn", "image", PAPER, resnet_34, IMAGENET_IMAGE, SMALL_IMAGE),
    Architecture("resnet-18-cifar", "cnn", "image", PAPER, resnet_18_cifar, CIFAR_IMAGE, SMALL_IMAGE),
    Architecture("resnet-20", "cnn", "image", PAPER, resnet_20, CIFAR_IMAGE, SMALL_IMAGE),
)
