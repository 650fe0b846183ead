"""Faster R-CNN on ResNet-18: region proposals, and a head on regions (Ren et al., NeurIPS 2015).

Which proposals go on (sorting, suppression) depends on values and stays outside: regions are an input, so that both
heads are one static network.
"""

from __future__ import annotations

import torch
from torch import nn

from experiments.architectures.architecture import Architecture, InputSpec
from experiments.architectures.boxes.anchors import grid
from experiments.architectures.boxes.ssd import SMALL_SCENE, rows
from experiments.architectures.pictures.resnet import BasicBlock, stages
from experiments.architectures.pictures.stems import imagenet_stem
from experiments.binarizers.parts.binarizer import Binarizer

PAPER = "Ren et al., Faster R-CNN, NeurIPS 2015"
_BINS = 7
_RATIOS = (0.5, 1.0, 2.0)


def hat(low: torch.Tensor, high: torch.Tensor, cells: int, bins: int) -> torch.Tensor:
    """Return the weights of bilinear interpolation at the centres of ``bins`` parts of an interval.

    Parameters
    ----------
    low, high
        ``(N, regions)`` in shares of the image.
    cells
        Of the feature map along this axis.

    Returns
    -------
    ``(N, regions, bins, cells)``; the rows sum to 1 away from the border.
    """
    centres = (torch.arange(bins, device=low.device, dtype=low.dtype) + 0.5) / bins
    at = (low[..., None] + centres * (high - low)[..., None]) * cells - 0.5
    at = at.clamp(0, cells - 1)
    return (1 - (at[..., None] - torch.arange(cells, device=low.device, dtype=low.dtype)).abs()).clamp_min(0)


class RegionAlign(nn.Module):
    """RoIAlign with one sample a bin (He et al., Mask R-CNN, ICCV 2017), as two matrix products."""

    def forward(self, features: torch.Tensor, regions: torch.Tensor) -> torch.Tensor:
        """Map ``(N, C, H, W)`` and boxes ``(N, R, 4)`` (centre, size) to ``(N * R, C, 7, 7)``."""
        low, high = regions[..., :2] - regions[..., 2:] / 2, regions[..., :2] + regions[..., 2:] / 2
        across = hat(low[..., 0], high[..., 0], features.shape[3], _BINS)
        down = hat(low[..., 1], high[..., 1], features.shape[2], _BINS)
        lines = torch.matmul(features[:, None], across.transpose(-1, -2)[:, :, None])
        return torch.matmul(down[:, :, None], lines).flatten(0, 1)


class FasterRcnn(nn.Module):
    """ResNet-18 up to a sixteenth of the image, a proposal network, and the last stage on each region.

    Attributes
    ----------
    anchors
        ``(anchors, 4)``: centre and size in shares of the image.
    """

    anchors: torch.Tensor

    def __init__(self, binarizer: Binarizer, classes: int, small: bool) -> None:
        super().__init__()
        widths, blocks, scales, edge = (
            ((16, 32), (1, 1), (0.25, 0.5), 8) if small else ((64, 128, 256), (2, 2, 2), (0.1, 0.2, 0.4, 0.8), 38)
        )
        width, last = widths[-1], 2 * widths[-1]
        self.trunk = nn.Sequential(imagenet_stem(widths[0]), stages(binarizer, widths, blocks))
        self.propose = nn.Sequential(
            binarizer.conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), binarizer.nonlinearity(width)
        )
        found = [(scale * ratio**0.5, scale / ratio**0.5) for scale in scales for ratio in _RATIOS]
        self.objectness, self.offsets = (nn.ModuleList([nn.Conv2d(width, len(found) * n, 1)]) for n in (1, 4))
        self.register_buffer("anchors", grid(edge, edge, found), persistent=False)
        self.align = RegionAlign()
        self.head = nn.Sequential(BasicBlock(binarizer, width, last, 2, "B"), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.logits, self.boxes = nn.Linear(last, classes + 1), nn.Linear(last, 4)

    def forward(self, images: torch.Tensor, regions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return what the proposal network says of its anchors, and the head of the regions.

        ``regions`` is ``(N, R, 4)``: the logits (inverse sigmoid) of centre and size, so that any number is a region.
        The outputs are objectness logits ``(N, anchors, 1)``, offsets
        ``(N, anchors, 4)``, class logits ``(N, R, classes + 1)`` with background 0, and offsets ``(N, R, 4)``.
        """
        features = self.trunk(images)
        proposals = [self.propose(features)]
        found = self.head(self.align(features, torch.sigmoid(regions)))
        shape = regions.shape[:2]
        return (
            rows(self.objectness, proposals, 1),
            rows(self.offsets, proposals, 4),
            self.logits(found).reshape(*shape, -1),
            self.boxes(found).reshape(*shape, 4),
        )


def faster_rcnn(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return the detector; small, two stages on 64x64."""
    return FasterRcnn(binarizer, classes, small)


_IMAGE = (InputSpec((3, 600, 600)), InputSpec((64, 4)))
_SMALL = (*SMALL_SCENE, InputSpec((4, 4)))
ARCHITECTURES = (Architecture("faster-rcnn", "cnn", "detection", PAPER, faster_rcnn, _IMAGE, _SMALL),)
