"""Anchors of detectors: default boxes, and boxes as offsets from them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

#: Divides offsets: centre and size vary that much less than the box (Liu et al., SSD, ECCV 2016).
_CENTRE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2


def grid(rows: int, columns: int, sizes: Sequence[tuple[float, float]]) -> torch.Tensor:
    """Return boxes of all sizes around every cell's centre.

    Parameters
    ----------
    rows, columns
        Of the feature map.
    sizes
        Width and height of each box, in shares of the image.

    Returns
    -------
    ``(rows * columns * len(sizes), 4)`` float32: centre x, centre y, width, height, in shares of the image; the sizes
    of a cell follow each other, then the cells of a row.
    """
    y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
    centres = torch.stack([x, y], dim=-1).reshape(-1, 1, 2).expand(-1, len(sizes), -1)
    extents = torch.tensor(sizes, dtype=torch.float32).expand(rows * columns, -1, -1)
    return torch.cat([centres, extents], dim=-1).reshape(-1, 4)


def encode(boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Return offsets ``(..., 4)`` of boxes from anchors; both are centre, size."""
    centres = (boxes[..., :2] - anchors[..., :2]) / (anchors[..., 2:] * _CENTRE_VARIANCE)
    return torch.cat([centres, torch.log(boxes[..., 2:] / anchors[..., 2:]) / _SIZE_VARIANCE], dim=-1)


def decode(offsets: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Return the boxes ``(..., 4)`` that `encode` made the offsets of."""
    centres = anchors[..., :2] + offsets[..., :2] * _CENTRE_VARIANCE * anchors[..., 2:]
    return torch.cat([centres, anchors[..., 2:] * torch.exp(offsets[..., 2:] * _SIZE_VARIANCE)], dim=-1)
