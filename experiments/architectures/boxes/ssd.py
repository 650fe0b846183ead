"""SSD300 on VGG-16 (Liu et al., ECCV 2016): the first layer and the heads are real, all between is binary."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from experiments.architectures.architecture import Architecture, InputSpec
from experiments.architectures.boxes.anchors import grid
from experiments.binarizers.parts.binarizer import Binarizer

PAPER = "Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016"
#: Widths of VGG-16's stages and how many layers each has; a pool between two stages.
_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
_SMALL_STAGES = ((16, 1), (32, 1), (32, 1))
#: Boxes per cell of each feature map, and the side of the smallest box on each, in shares of the image.
_BOXES = (4, 6, 6, 6, 4, 4)
_SIDES = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
_SMALL_SIDES = (0.2, 0.45, 0.7)
#: Inner and outer width, stride and padding of each extra pair of layers.
_EXTRAS = ((256, 512, 2, 1), (128, 256, 2, 1), (128, 256, 1, 0), (128, 256, 1, 0))


def sizes(boxes: int, side: float, next_side: float) -> list[tuple[float, float]]:
    """Return two squares and pairs of oblongs (1:2, and 1:3 where there are six) (section 2.2)."""
    between = (side * next_side) ** 0.5
    found = [(side, side), (between, between)]
    for ratio in (2.0, 3.0)[: (boxes - 2) // 2]:
        found += [(side * ratio**0.5, side / ratio**0.5), (side / ratio**0.5, side * ratio**0.5)]
    return found


def layer(
    binarizer: Binarizer,
    inputs: int,
    outputs: int,
    size: int = 3,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> nn.Sequential:
    """Return a binary convolution with its norm and activation."""
    conv = binarizer.conv2d(inputs, outputs, size, stride=stride, padding=padding, dilation=dilation)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), binarizer.nonlinearity(outputs))


def stage(binarizer: Binarizer, inputs: int, outputs: int, count: int) -> nn.Sequential:
    """Return 3x3 layers; the one that reads the image is real."""
    layers = []
    for _ in range(count):
        if inputs == 3:  # the image  # noqa: PLR2004
            conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            layers.append(nn.Sequential(conv, nn.BatchNorm2d(outputs), binarizer.nonlinearity(outputs)))
        else:
            layers.append(layer(binarizer, inputs, outputs, padding=1))
        inputs = outputs
    return nn.Sequential(*layers)


class Trunk(nn.Module):
    """A feature map from each of the ``parts``, which follow each other."""

    def __init__(self, parts: list[nn.Module], widths: tuple[int, ...]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.widths = widths

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the feature maps, largest first."""
        maps = []
        for part in self.parts:
            x = part(x)
            maps.append(x)
        return maps


def vgg_stages(binarizer: Binarizer, shape: tuple[tuple[int, int], ...]) -> list[nn.Module]:
    """Return the stages of a VGG network without the pools between them."""
    widths = (3, *(width for width, _ in shape))
    return [stage(binarizer, inputs, *outputs) for inputs, outputs in zip(widths, shape, strict=False)]


def small_trunk(binarizer: Binarizer) -> Trunk:
    """Return maps of an eighth and a sixteenth of the image."""
    pooled = [part for made in vgg_stages(binarizer, _SMALL_STAGES) for part in (made, nn.MaxPool2d(2))]
    return Trunk([nn.Sequential(*pooled), layer(binarizer, 32, 48, stride=2, padding=1)], (32, 48))


def vgg_16_trunk(binarizer: Binarizer) -> Trunk:
    """Return VGG-16 with dilated layers for its classifier, and the four extra pairs of layers (figure 2)."""
    made = vgg_stages(binarizer, _STAGES)
    pools = [nn.MaxPool2d(2), nn.MaxPool2d(2), nn.MaxPool2d(2, ceil_mode=True)]
    front = itertools.chain(*zip(made[:3], pools, strict=True), made[3:4])
    context = [
        *(nn.MaxPool2d(2), made[4], nn.MaxPool2d(3, 1, 1)),
        *(layer(binarizer, 512, 1024, padding=6, dilation=6), layer(binarizer, 1024, 1024, 1)),
    ]
    parts: list[nn.Module] = [nn.Sequential(*front), nn.Sequential(*context)]
    inputs = 1024
    for inner, outputs, stride, padding in _EXTRAS:
        squeeze = layer(binarizer, inputs, inner, 1)
        parts.append(nn.Sequential(squeeze, layer(binarizer, inner, outputs, stride=stride, padding=padding)))
        inputs = outputs
    return Trunk(parts, (512, 1024, 512, 256, 256, 256))


class Ssd(nn.Module):
    """Offsets from default boxes and class logits for each.

    Attributes
    ----------
    anchors
        ``(anchors, 4)``: centre and size in shares of the image, in the order of the outputs.
    """

    anchors: torch.Tensor

    def __init__(self, binarizer: Binarizer, classes: int, small: bool) -> None:
        super().__init__()
        self.trunk = small_trunk(binarizer) if small else vgg_16_trunk(binarizer)
        boxes = (4, 4) if small else _BOXES
        sides = _SMALL_SIDES if small else _SIDES
        self.outputs = classes + 1
        self.boxes, self.logits = (
            nn.ModuleList(nn.Conv2d(w, b * values, 3, padding=1) for w, b in zip(self.trunk.widths, boxes, strict=True))
            for values in (4, self.outputs)
        )
        edges = (8, 4) if small else (38, 19, 10, 5, 3, 1)
        shapes = [sizes(count, *pair) for count, pair in zip(boxes, itertools.pairwise(sides), strict=True)]
        grids = [grid(edge, edge, shape) for edge, shape in zip(edges, shapes, strict=True)]
        self.register_buffer("anchors", torch.cat(grids), persistent=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return offsets ``(N, anchors, 4)`` and logits ``(N, anchors, classes + 1)``, class 0 being background."""
        maps = self.trunk(images)
        return rows(self.boxes, maps, 4), rows(self.logits, maps, self.outputs)


def rows(convs: nn.ModuleList, maps: list[torch.Tensor], values: int) -> torch.Tensor:
    """Return ``(N, anchors, values)`` of one convolution a feature map."""
    found = [conv(features).permute(0, 2, 3, 1).flatten(1) for conv, features in zip(convs, maps, strict=True)]
    flat = torch.cat(found, dim=1)
    return flat.view(len(flat), -1, values)


def ssd_300(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return SSD300; small, four layers on 64x64."""
    return Ssd(binarizer, classes, small)


_IMAGE, SMALL_SCENE = (InputSpec((3, 300, 300)),), (InputSpec((3, 64, 64)),)
ARCHITECTURES = (Architecture("ssd300", "cnn", "detection", PAPER, ssd_300, _IMAGE, SMALL_SCENE),)
