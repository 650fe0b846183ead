"""The networks that are measured, and how their weights come about."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import nn

from tvm_bnn.bench.networks.bi_real_net import bi_real_net_18
from tvm_bnn.bench.networks.binary_resnet_e import binary_resnet_e_18
from tvm_bnn.bench.networks.quick_net import quick_net
from tvm_bnn.bench.networks.react_net import react_net_a
from tvm_bnn.bench.networks.resnet_20 import resnet_20
from tvm_bnn.bench.networks.vgg_small import vgg_small

SEED = 0
_CALIBRATION_BATCH = 4


@dataclasses.dataclass(frozen=True)
class Network:
    """One network.

    Parameters
    ----------
    name
        As tables show it.
    make
        Builds it: binary or its float twin, of a given width.
    image
        Side of the image it takes.
    binary_layers
        How many of its layers must run on bits.
    width
        Channels of its first stage.
    """

    name: str
    make: Callable[[bool, int], nn.Module]
    image: int
    binary_layers: int
    width: int

    def build(self, *, binary: bool = True, width: int | None = None) -> nn.Module:
        """Return it in evaluation mode, with random weights and statistics that fit them."""
        torch.manual_seed(SEED)
        module = self.make(binary, width or self.width)
        calibrate(module, self.example(_CALIBRATION_BATCH))
        return module.eval()

    def example(self, batch: int = 1, seed: int = SEED) -> torch.Tensor:
        """Return a random input."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(batch, 3, self.image, self.image, generator=generator)


def calibrate(module: nn.Module, images: torch.Tensor) -> None:
    """Give every batch norm random gains and offsets, and the statistics of what really reaches it.

    With made-up statistics most channels would be all +1 or all -1, and later layers would see constants.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        norm.bias.data += 0.2 * torch.randn_like(norm.bias)
        norm.momentum = 1.0
    with torch.no_grad():
        module.train()(images)


NETWORKS = (
    Network("Bi-Real-Net-18", bi_real_net_18, 224, 16, 64),
    Network("ReActNet-A", react_net_a, 224, 31, 32),
    Network("QuickNet-like", quick_net, 224, 16, 64),
    Network("BinaryResNetE-18", binary_resnet_e_18, 224, 16, 64),
    Network("VGG-small", vgg_small, 32, 5, 128),
    Network("ResNet-20", resnet_20, 32, 18, 16),
)
