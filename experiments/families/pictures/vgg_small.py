"""VGG-small, the usual CIFAR-10 yardstick: convolution, max pooling, batch norm, sign, in this order.

The order matters: the pooling sees integers, and batch norm with a negative gain turns its maximum into a minimum.
"""

from __future__ import annotations

from torch import nn

from experiments.families.building_blocks import ScaledSignConv2d, Sign, real_stem
from experiments.families.family import Family, normal


def layer(inputs: int, outputs: int, pool: bool) -> list[nn.Module]:
    """Return binary convolution, pooling if asked, batch norm, sign."""
    pooling = [nn.MaxPool2d(2, 2)] if pool else []
    conv = ScaledSignConv2d(inputs, outputs, 3, padding=1, bias=False)
    return [conv, *pooling, nn.BatchNorm2d(outputs), Sign()]


def vgg_small() -> nn.Module:
    """Return six convolutions, five of them binary, and a real classifier of signs."""
    return nn.Sequential(
        *(real_stem(3, 24), Sign(), *layer(24, 24, pool=True)),
        *(*layer(24, 32, pool=False), *layer(32, 32, pool=True)),
        *(*layer(32, 48, pool=False), *layer(48, 48, pool=True)),
        *(nn.Flatten(), nn.Linear(48 * 2 * 2, 10)),
    )


FAMILIES = (
    Family(
        "VGG-small",
        "Function sign after max pooling and batch norm; trick(α·sign(w), clamp)",
        vgg_small,
        normal(1, 3, 16, 16),
        binary_layers=5,
        total_layers=7,
        notes="the classifier reads signs with real weights",
    ),
)
