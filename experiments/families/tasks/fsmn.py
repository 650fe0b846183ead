"""BiFSMN: binarized keyword spotting with a feed-forward sequential memory (Qin et al., IJCAI 2022)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import channel_mean, sign
from experiments.families.family import Family, normal


def centred_sign(weight: torch.Tensor) -> torch.Tensor:
    """Subtract the mean of the layer; ±mean|w| per filter."""
    centred = weight - weight.mean()
    return sign(centred) * channel_mean(centred.abs()).detach()


class PadBeforeSignConv1d(nn.Conv1d):
    """Pads by zero, and takes the sign of that: the border stays 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad, binarize, convolve."""
        padded = functional.pad(x, (int(self.padding[0]),) * 2)
        weight = centred_sign(self.weight)
        return functional.conv1d(sign(padded), weight, self.bias, self.stride, 0, self.dilation, self.groups)


class PadBeforeSignConv2d(nn.Conv2d):
    """Pads by zero, and takes the sign of that: the border stays 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad, binarize, convolve."""
        padded = functional.pad(x, (int(self.padding[1]),) * 2 + (int(self.padding[0]),) * 2)
        return functional.conv2d(sign(padded), centred_sign(self.weight), self.bias, self.stride)


class CentredLinear(nn.Linear):
    """Binary linear layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and multiply."""
        return functional.linear(sign(x), centred_sign(self.weight), self.bias)


class MemoryLayer(nn.Module):
    """Expand, shrink, remember: two binary 1×1 convolutions and a depth-wise one over time, which adds to its input."""

    def __init__(self, channels: int, inner: int, dilation: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(PadBeforeSignConv1d(channels, inner, 1), nn.BatchNorm1d(inner), nn.PReLU(inner))
        self.shrink = nn.Sequential(PadBeforeSignConv1d(inner, channels, 1, bias=False), nn.BatchNorm1d(channels))
        padding = 2 * dilation
        self.memory = PadBeforeSignConv1d(
            channels, channels, 5, padding=padding, dilation=dilation, groups=channels, bias=False
        )
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, channels, T)`` to the same; the memory of the layer before is a shortcut."""
        projected = self.shrink(self.expand(x))
        remembered: torch.Tensor = self.norm(self.memory(projected)) + projected + x
        return remembered


class Fsmn(nn.Module):
    """A real and a binary 5×5 convolution on the spectrogram, two memory layers, a binary and a real linear."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(
            *(nn.Conv2d(1, 8, 5, stride=(2, 1), padding=2), nn.BatchNorm2d(8), nn.PReLU(8)),
            *(PadBeforeSignConv2d(8, 4, 5, stride=(2, 1), padding=2), nn.BatchNorm2d(4), nn.PReLU(4)),
        )
        self.layers = nn.Sequential(MemoryLayer(32, 48, 1), MemoryLayer(32, 48, 2))
        self.head = nn.Sequential(CentredLinear(32, 48), nn.BatchNorm1d(48), nn.PReLU(48), nn.Linear(48, 12))

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Classify ``(N, 1, 32, T)``: mel bands and time."""
        features = self.front(spectrogram).flatten(1, 2)
        logits: torch.Tensor = self.head(self.layers(features).mean(dim=-1))
        return logits


FAMILIES = (
    Family(
        "BiFSMN",
        "sign(pad(x, 0)); sign(w - w.mean()) * α",
        Fsmn,
        normal(2, 1, 32, 32),
        binary_layers=8,
        total_layers=10,
        notes="depth-wise memory of five taps; the border is zero because sign(0) is",
    ),
)
