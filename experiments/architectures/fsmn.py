"""FSMN and D-FSMN for keyword spotting, thinnable as in BiFSMN (Zhang et al., 2018; Qin et al., IJCAI 2022)."""

from __future__ import annotations

import torch
from torch import nn

from experiments.architectures.architecture import Architecture, InputSpec
from experiments.binarizers.parts.binarizer import Binarizer

PAPER = "Zhang et al., Deep-FSMN, ICASSP 2018; Qin et al., BiFSMN, IJCAI 2022"
_MEMORY = 5


class MemoryLayer(nn.Module):
    """Expand, shrink, remember: two 1x1 layers and a depth-wise one over time; ``skip`` adds the memory before."""

    def __init__(self, binarizer: Binarizer, channels: int, inner: int, dilation: int, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        self.project = nn.Sequential(
            *(binarizer.conv1d(channels, inner, 1), nn.BatchNorm1d(inner), nn.PReLU(inner)),
            *(binarizer.conv1d(inner, channels, 1), nn.BatchNorm1d(channels)),
        )
        padding = dilation * (_MEMORY // 2)
        self.memory = nn.Sequential(
            binarizer.conv1d(channels, channels, _MEMORY, padding=padding, dilation=dilation, groups=channels),
            nn.BatchNorm1d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, channels, T)`` to the same."""
        projected = self.project(x)
        remembered: torch.Tensor = self.memory(projected) + projected
        return remembered + x if self.skip else remembered


class Fsmn(nn.Module):
    """A real and a binary 5x5 layer on the spectrogram, memory layers, a binary and a real linear.

    Attributes
    ----------
    thin
        Every so manieth memory layer runs: 1, 2 or 4 (BiFSMN, section 3.3); an exported network has those only.
    """

    def __init__(self, binarizer: Binarizer, classes: int, small: bool, skip: bool) -> None:
        super().__init__()
        self.thin = 1
        depth, inner, hidden = (2, 48, 64) if small else (8, 256, 1024)
        maps, channels = (4, 32) if small else (16, 128)  # a quarter of 32 bands times the maps
        self.front = nn.Sequential(
            *(nn.Conv2d(1, 16, 5, (2, 1), 2, bias=False), nn.BatchNorm2d(16), nn.PReLU(16)),
            *(binarizer.conv2d(16, maps, 5, stride=(2, 1), padding=2), nn.BatchNorm2d(maps), nn.PReLU(maps)),
        )
        self.layers = nn.ModuleList(
            MemoryLayer(binarizer, channels, inner, 1 + index % 2, skip) for index in range(depth)
        )
        self.head = nn.Sequential(
            *(binarizer.linear(channels, hidden), nn.BatchNorm1d(hidden), nn.PReLU(hidden)),
            nn.Linear(hidden, classes),
        )

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Classify ``(N, 1, 32, T)``: mel bands and time."""
        x = self.front(spectrogram).flatten(1, 2)
        for layer in self.layers[:: self.thin]:
            x = layer(x)
        logits: torch.Tensor = self.head(x.mean(dim=-1))
        return logits


def fsmn(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return memory layers in a row."""
    return Fsmn(binarizer, classes, small, skip=False)


def deep_fsmn(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return memory layers with a shortcut from each to the next."""
    return Fsmn(binarizer, classes, small, skip=True)


_SPECTROGRAM = (InputSpec((1, 32, 32)),)
ARCHITECTURES = (
    Architecture("fsmn", "mlp", "audio", PAPER, fsmn, _SPECTROGRAM, _SPECTROGRAM),
    Architecture("dfsmn", "mlp", "audio", PAPER, deep_fsmn, _SPECTROGRAM, _SPECTROGRAM),
)
