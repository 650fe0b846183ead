"""Grouped and depth-wise binary convolutions: ShuffleNet (Zhang et al., CVPR 2018) and MobileNet (Howard et al., 2017).

The depth of a depth-wise 3×3 layer is nine.
"""

from __future__ import annotations

import torch
from torch import nn

from experiments.families.building_blocks import Residual, ScaledSignConv2d, Sign, pooled_head, real_stem
from experiments.families.family import Family, normal


class ChannelShuffle(nn.Module):
    """Deals the channels of each group out to all groups."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Permute channels by view, transpose, view."""
        batch, channels, rows, columns = x.shape
        grouped = x.view(batch, self.groups, channels // self.groups, rows, columns)
        return grouped.transpose(1, 2).contiguous().view(batch, channels, rows, columns)


def layer(inputs: int, outputs: int, size: int, groups: int, stride: int = 1) -> nn.Sequential:
    """Return sign, binary convolution, batch norm."""
    conv = ScaledSignConv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(Sign(), conv, nn.BatchNorm2d(outputs))


def shuffle_unit(channels: int, groups: int) -> nn.Sequential:
    """Return grouped 1×1, shuffle, depth-wise 3×3, grouped 1×1, around a shortcut."""
    body = nn.Sequential(
        *(layer(channels, channels, 1, groups), ChannelShuffle(groups)),
        *(layer(channels, channels, 3, channels), layer(channels, channels, 1, groups)),
    )
    return nn.Sequential(Residual(body), nn.PReLU(channels))


def shuffle_net() -> nn.Module:
    """Return two units: twelve channels in a group, then eight."""
    return nn.Sequential(real_stem(3, 24), shuffle_unit(24, 2), shuffle_unit(24, 3), pooled_head(24))


def mobile_net() -> nn.Module:
    """Return three pairs of a depth-wise and a 1×1 layer; the 1×1 layers see nothing but signs."""
    return nn.Sequential(
        *(real_stem(3, 33), layer(33, 33, 3, 33), layer(33, 40, 1, 1)),
        *(layer(40, 40, 3, 40, 2), layer(40, 48, 1, 1), layer(48, 48, 5, 48), layer(48, 48, 1, 1)),
        pooled_head(48),
    )


FAMILIES = (
    Family(
        "Binary ShuffleNet",
        "Function sign; trick(α·sign(w), clamp); channels shuffled by view and transpose",
        shuffle_net,
        normal(1, 3, 11, 11),
        binary_layers=6,
        total_layers=8,
    ),
    Family(
        "Binary MobileNet, depth-wise layers too",
        "Function sign; trick(α·sign(w), clamp); groups = channels",
        mobile_net,
        normal(1, 3, 13, 13),
        binary_layers=6,
        total_layers=8,
    ),
)
