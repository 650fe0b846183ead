"""BiMatting: video matting with a binarized encoder, and a recurrent decoder with sparse layers (NeurIPS 2023)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from experiments.architectures.architecture import Architecture, InputSpec
from experiments.binarizers.parts.binarizer import Binarizer
from tvm_bnn.bench.networks.parts import Residual

PAPER = "Qin et al., BiMatting, NeurIPS 2023; Lin et al., Robust Video Matting, WACV 2022"
_RESIDUE = 0.01


def layer(binarizer: Binarizer, inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Return a binary layer with norm and activation."""
    conv = binarizer.conv2d(inputs, outputs, size, stride=stride, padding=size // 2)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), binarizer.nonlinearity(outputs))


class ShrinkableBlock(nn.Module):
    """SBB: dense layers with a shortcut around each; the image shrinks and widens behind them, by pooled copies."""

    def __init__(self, binarizer: Binarizer, inputs: int, outputs: int) -> None:
        super().__init__()
        self.copies = outputs // inputs
        self.dense = nn.Sequential(
            Residual(layer(binarizer, inputs, inputs, 3)), Residual(layer(binarizer, inputs, inputs, 1))
        )
        self.shrink = layer(binarizer, inputs, outputs, 3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, H/2, W/2)``."""
        x = self.dense(x)
        pooled = torch.cat([functional.avg_pool2d(x, 2)] * self.copies, dim=1)
        shrunk: torch.Tensor = self.shrink(x) + pooled
        return shrunk


class ConvGRU(nn.Module):
    """Gated recurrent unit of binary convolutions; its state starts at zero."""

    def __init__(self, binarizer: Binarizer, channels: int) -> None:
        super().__init__()
        self.gates = binarizer.conv2d(2 * channels, 2 * channels, 3, padding=1, bias=True)
        self.candidate = binarizer.conv2d(2 * channels, channels, 3, padding=1, bias=True)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Map ``(N, T, C, H, W)`` to the same."""
        state = torch.zeros_like(frames[:, 0])
        states = []
        for frame in frames.unbind(dim=1):
            reset, update = torch.sigmoid(self.gates(torch.cat([frame, state], dim=1))).chunk(2, dim=1)
            candidate = torch.tanh(self.candidate(torch.cat([frame, reset * state], dim=1)))
            state = (1 - update) * state + update * candidate
            states.append(state)
        return torch.stack(states, dim=1)


def uncertain(alpha: torch.Tensor) -> torch.Tensor:
    """Return 1 where a coarser matte would lose something, else 0: ``(N, 1, H, W)``, as SAB's mask."""
    mask = (alpha > 0).to(alpha.dtype)
    small = functional.avg_pool2d(mask, 2)
    recovered = functional.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    return ((mask - recovered).abs() >= _RESIDUE).to(alpha.dtype)


class SparseBlock(nn.Module):
    """SAB: a 1x1 layer everywhere and a 3x3 layer where the mask says so; behind them half the channels recur."""

    def __init__(self, binarizer: Binarizer, inputs: int, outputs: int) -> None:
        super().__init__()
        self.everywhere, self.somewhere = (layer(binarizer, inputs, outputs, size) for size in (1, 3))
        self.recurrent = ConvGRU(binarizer, outputs // 2)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, batch: int) -> torch.Tensor:
        """Map ``(batch * T, inputs, H, W)`` to ``(batch * T, outputs, H, W)``."""
        mask = functional.interpolate(mask, size=x.shape[-2:], mode="nearest")
        y = self.everywhere(x) + self.somewhere(x) * mask
        plain, recurring = y.chunk(2, dim=1)
        recurring = recurring.reshape(batch, -1, *recurring.shape[1:])
        return torch.cat([plain, self.recurrent(recurring).flatten(0, 1)], dim=1)


class Matting(nn.Module):
    """A real stem, three shrinkable blocks, a recurrent bottleneck, two sparse blocks with skips, a real projection."""

    def __init__(self, binarizer: Binarizer, width: int) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(nn.Conv2d(3, w, 3, 2, 1, bias=False), nn.BatchNorm2d(w), binarizer.nonlinearity(w))
        self.encoder = nn.ModuleList(ShrinkableBlock(binarizer, w * n, 2 * w * n) for n in (1, 2, 4))
        self.bottleneck = layer(binarizer, 8 * w, 8 * w, 3)
        self.recurrent = ConvGRU(binarizer, 4 * w)
        self.coarse = nn.Conv2d(8 * w, 1, 1)
        self.decoder = nn.ModuleList(
            [SparseBlock(binarizer, 8 * w + 4 * w + 3, 4 * w), SparseBlock(binarizer, 4 * w + 2 * w + 3, 2 * w)]
        )
        self.project = nn.Conv2d(2 * w, 4, 1)

    def forward(self, video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Matte ``(N, T, 3, H, W)``.

        The outputs are alpha ``(N, T, 1, H, W)`` and foreground ``(N, T, 3, H, W)``, both in [0, 1], and the coarse
        matte ``(N, T, 1, H/16, W/16)`` that the sparse layers look at: positive is foreground; a loss has to train it.
        """
        batch = len(video)
        frames = video.flatten(0, 1)
        features = [self.stem(frames)]
        for block in self.encoder:
            features.append(block(features[-1]))
        plain, recurring = self.bottleneck(features[-1]).chunk(2, dim=1)
        recurring = self.recurrent(recurring.reshape(batch, -1, *recurring.shape[1:])).flatten(0, 1)
        x = torch.cat([plain, recurring], dim=1)
        coarse = self.coarse(x)
        mask = uncertain(coarse)
        for block, skip in zip(self.decoder, (features[2], features[1]), strict=True):
            source = functional.adaptive_avg_pool2d(frames, skip.shape[-2:])
            x = block(torch.cat([double(x), skip, source], dim=1), mask, batch)
        out = functional.interpolate(self.project(x), size=video.shape[-2:], mode="bilinear", align_corners=False)
        out = out.view(batch, -1, *out.shape[1:])
        alpha, foreground = out[:, :, :1].clamp(0, 1), (out[:, :, 1:] + video).clamp(0, 1)
        return alpha, foreground, coarse.view(batch, -1, *coarse.shape[1:])


def double(x: torch.Tensor) -> torch.Tensor:
    """Return the image at twice its side."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def bi_matting(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return the network; it has no classes."""
    del classes
    return Matting(binarizer, 8 if small else 16)


_VIDEO, _SMALL_VIDEO = (InputSpec((2, 3, 288, 512)),), (InputSpec((2, 3, 64, 64)),)
ARCHITECTURES = (Architecture("bimatting", "cnn", "matting", PAPER, bi_matting, _VIDEO, _SMALL_VIDEO),)
