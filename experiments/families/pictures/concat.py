"""BinaryDenseNet and MeliusNet: layers that append channels to their input (Bethge et al., 1906.08637, 2001.05936)."""

from __future__ import annotations

import torch
from torch import nn

from experiments.families.building_blocks import ScaledSignConv2d, Sign, pooled_head, real_stem
from experiments.families.family import Family, normal
from experiments.families.pictures.bitorch import QuantConv2d


class DenseLayer(nn.Module):
    """Appends the output of its body to its input."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Widen by what ``body`` returns."""
        return torch.cat((x, self.body(x)), dim=1)


class ImprovementLayer(nn.Module):
    """MeliusNet: adds the output of its body to the newest channels, which are its last ones."""

    def __init__(self, body: nn.Module, new: int) -> None:
        super().__init__()
        self.body, self.new = body, new

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Improve the last ``new`` channels by slice, add and concatenation."""
        improved = x[:, -self.new :, :, :] + self.body(x)
        return torch.cat((x[:, : -self.new, :, :], improved), dim=1)


def dense_body(channels: int, new: int, dilation: int = 1) -> nn.Sequential:
    """Return batch norm, sign, binary convolution."""
    conv = ScaledSignConv2d(channels, new, 3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(nn.BatchNorm2d(channels), Sign(), conv)


def melius_body(channels: int, new: int) -> nn.Sequential:
    """Return batch norm and a convolution that binarizes and pads by -1."""
    return nn.Sequential(nn.BatchNorm2d(channels), QuantConv2d(channels, new, 3, padding=1, bias=False))


def transition(inputs: int, outputs: int) -> nn.Sequential:
    """Return the real layers between two sections: the image is halved before the channels are."""
    return nn.Sequential(
        nn.BatchNorm2d(inputs), nn.MaxPool2d(2, 2), nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False)
    )


def binary_dense_net() -> nn.Module:
    """Return two sections of two layers; the second is dilated."""
    return nn.Sequential(
        *(nn.Conv2d(3, 24, 3, 2, 1, bias=False), DenseLayer(dense_body(24, 16)), DenseLayer(dense_body(40, 16))),
        *(transition(56, 24), DenseLayer(dense_body(24, 16, 2)), DenseLayer(dense_body(40, 16, 2))),
        *(nn.BatchNorm2d(56), nn.ReLU(), pooled_head(56)),
    )


def melius_net() -> nn.Module:
    """Return three blocks of dense and improvement layers around one transition."""

    def block(channels: int, new: int = 16) -> nn.Sequential:
        return nn.Sequential(
            DenseLayer(melius_body(channels, new)), ImprovementLayer(melius_body(channels + new, new), new)
        )

    return nn.Sequential(
        *(real_stem(3, 16, 2), nn.ReLU(), block(16), block(32), transition(48, 24), block(24)),
        *(nn.BatchNorm2d(40), nn.ReLU(), pooled_head(40)),
    )


FAMILIES = (
    Family(
        "BinaryDenseNet",
        "Function sign after batch norm; trick(α·sign(w), clamp); concatenation",
        binary_dense_net,
        normal(1, 3, 18, 18),
        binary_layers=4,
        total_layers=7,
    ),
    Family(
        "MeliusNet",
        "torch.where(sign == 0, 1, sign) on both operands, padded by -1; slices and concatenation",
        melius_net,
        normal(1, 3, 16, 16),
        binary_layers=6,
        total_layers=9,
    ),
)
