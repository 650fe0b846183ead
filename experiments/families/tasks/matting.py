"""BiMatting: binarized video matting with a recurrent decoder (Qin et al., NeurIPS 2023)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import ChannelBias, channel_mean, polynomial, real_stem
from experiments.families.family import Family, normal


class NestedTrickConv2d(nn.Conv2d):
    """A detach trick around a detach trick for the input; centred weights, α·sign by the trick."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, size, stride, size // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and convolve."""
        clipped = torch.clamp(x, -1, 1)
        smooth = polynomial(x)
        inner = smooth.detach() - clipped.detach() + clipped
        activation = torch.sign(x).detach() - inner.detach() + inner
        centred = self.weight - channel_mean(self.weight)
        hard = channel_mean(centred.abs()).detach() * torch.sign(centred)
        limited = torch.clamp(centred, -1, 1)
        weight = hard.detach() - limited.detach() + limited
        return functional.conv2d(activation, weight, self.bias, self.stride, self.padding)


def layer(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Return learned shift, binary convolution, batch norm, PReLU."""
    conv = NestedTrickConv2d(inputs, outputs, size, stride)
    return nn.Sequential(ChannelBias(inputs), conv, nn.BatchNorm2d(outputs), nn.PReLU(outputs))


class ConvGRU(nn.Module):
    """Gated recurrent unit whose gates and candidate are binary convolutions (as in Lin et al., RVM, WACV 2022)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Sequential(NestedTrickConv2d(2 * channels, 2 * channels, 3), nn.Sigmoid())
        self.candidate = nn.Sequential(NestedTrickConv2d(2 * channels, channels, 3), nn.Tanh())

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Map ``(N, T, C, H, W)`` to the same; the state starts at zero."""
        state = torch.zeros_like(frames[:, 0])
        states = []
        for frame in frames.unbind(dim=1):
            reset, update = self.gates(torch.cat([frame, state], dim=1)).chunk(2, dim=1)
            candidate = self.candidate(torch.cat([frame, reset * state], dim=1))
            state = (1 - update) * state + update * candidate
            states.append(state)
        return torch.stack(states, dim=1)


class Matting(nn.Module):
    """Encoder with two strides, recurrent bottleneck, decoder with skips; alpha matte and foreground."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(real_stem(3, 16, 2), nn.PReLU(16))
        self.encoder = nn.Sequential(layer(16, 32, 3, 2), layer(32, 32))
        self.norm = nn.BatchNorm2d(32)
        self.recurrent = ConvGRU(32)
        self.decoder = nn.Sequential(layer(48, 24, 1), layer(24, 16))
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map ``(N, T, 3, H, W)`` to alpha ``(N, T, 1, H, W)`` and foreground ``(N, T, 3, H, W)``."""
        batch, time = video.shape[:2]
        shallow = self.stem(video.flatten(0, 1))
        deep = self.norm(self.encoder(shallow))
        deep = deep.view(batch, time, *deep.shape[1:])
        deep = self.recurrent(deep).flatten(0, 1)
        deep = functional.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=False)
        decoded = self.head(self.decoder(torch.cat([deep, shallow], dim=1)))
        decoded = functional.interpolate(decoded, size=video.shape[-2:], mode="bilinear", align_corners=False)
        decoded = decoded.view(batch, time, *decoded.shape[1:])
        alpha, foreground = decoded[:, :, :1], decoded[:, :, 1:]
        return alpha.clamp(0, 1), (foreground + video).clamp(0, 1)


FAMILIES = (
    Family(
        "BiMatting",
        "trick(sign, trick(polynomial, clamp)) of x + b; trick(α·sign(w - mean), clamp)",
        Matting,
        normal(1, 3, 3, 16, 16),
        binary_layers=10,
        total_layers=12,
        notes="three frames: the two layers of the ConvGRU run three times; its initial state is exactly zero",
    ),
)
