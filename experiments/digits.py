"""Train the small binary network that the compiler ships as its embedded default.

A Bi-Real-style net (Liu et al., ECCV 2018) on scikit-learn's handwritten digits: float stem and head, binary
convolutions with a shortcut each, and one bottleneck whose inner activation only ever exists as bits.

    python -m experiments.digits          # about a minute on two cores; rewrites tvm_bnn/zoo/digits.*
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from rich.console import Console
from rich.progress import track
from torch import nn

import tvm_bnn

ZOO = Path(tvm_bnn.__file__).parent / "zoo"


def binarize_activation(x: torch.Tensor) -> torch.Tensor:
    """sign(x) whose gradient is that of Bi-Real's piecewise polynomial (Liu et al., ECCV 2018)."""
    clipped = x.clamp(-1, 1)
    surrogate = clipped * (2 - clipped.abs())
    return torch.sign(x).detach() - surrogate.detach() + surrogate


def binarize_weight(w: torch.Tensor) -> torch.Tensor:
    """mean|w| per output channel times sign(w), with the straight-through gradient of clamp (XNOR-Net, eq. 6)."""
    scale = w.abs().mean(dim=(1, 2, 3), keepdim=True).detach()
    clipped = w.clamp(-1, 1)
    return (scale * torch.sign(w)).detach() - clipped.detach() + clipped


class BinaryConv2d(nn.Conv2d):
    """Convolution of sign tensors; zero padding, so a padded tap contributes nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands and convolve."""
        weight = binarize_weight(self.weight)
        return F.conv2d(binarize_activation(x), weight, None, self.stride, self.padding)


def binary_conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """A bias-free binary convolution with its batch norm."""
    conv = BinaryConv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """One binary 3x3 convolution inside its own shortcut; a stride-2 block pools and widens the shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        """``inputs`` and ``outputs`` count channels; ``stride`` is 1 or 2."""
        super().__init__()
        self.body = binary_conv(inputs, outputs, 3, stride)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1:
            self.shortcut = nn.Sequential(nn.AvgPool2d(2), binary_conv(inputs, outputs, 1))
        self.activation = nn.PReLU(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``prelu(body(x) + shortcut(x))``."""
        y: torch.Tensor = self.activation(self.body(x) + self.shortcut(x))
        return y


class Bottleneck(nn.Module):
    """Binary 1x1 then binary 3x3; between them only signs are used."""

    def __init__(self, channels: int) -> None:
        """Input, inner and output tensors all have ``channels`` channels."""
        super().__init__()
        self.reduce = binary_conv(channels, channels, 1)
        self.expand = binary_conv(channels, channels, 3)
        self.activation = nn.PReLU(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``prelu(expand(reduce(x)) + x)``."""
        y: torch.Tensor = self.activation(self.expand(self.reduce(x)) + x)
        return y


class DigitsNet(nn.Module):
    """``(N, 1, 8, 8)`` float32 in [0, 1] to ``(N, 10)`` logits; seven binary convolutions."""

    def __init__(self) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.PReLU(32))
        self.blocks = nn.Sequential(Block(32, 32), Block(32, 32), Block(32, 64, stride=2), Block(64, 64))
        self.bottleneck = Bottleneck(64)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify a batch of images."""
        x = self.bottleneck(self.blocks(self.stem(x)))
        logits: torch.Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


@dataclasses.dataclass(frozen=True)
class Split:
    """Images ``(N, 1, 8, 8)`` float32 in [0, 1] and labels ``(N,)`` int64."""

    images: torch.Tensor
    labels: torch.Tensor


def load_digits(seed: int) -> tuple[Split, Split]:
    """Return scikit-learn's 1,797 digits as a stratified training and test split (1,437 and 360 images)."""
    from sklearn import datasets, model_selection

    digits = datasets.load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    parts = model_selection.train_test_split(
        images, digits.target.astype(np.int64), test_size=0.2, stratify=digits.target, random_state=seed
    )
    train_x, test_x, train_y, test_y = (torch.from_numpy(part) for part in parts)
    return Split(train_x, train_y), Split(test_x, test_y)


def shift(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Move the whole batch by up to one pixel each way: the digits leave a margin of about that size."""
    down, right = torch.randint(-1, 2, (2,), generator=generator).tolist()
    return torch.roll(F.pad(images, (1, 1, 1, 1)), (down, right), (2, 3))[:, :, 1:-1, 1:-1]


def fit(model: DigitsNet, data: Split, epochs: int, seed: int) -> None:
    """Train in place with Adam, a cosine schedule and one-pixel shifts, 64 images a batch."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.train()
    for _ in track(range(epochs), "training", console=Console(stderr=True)):
        for batch in torch.randperm(len(data.labels), generator=generator).split(64):  # type: ignore[no-untyped-call]
            loss = F.cross_entropy(model(shift(data.images[batch], generator)), data.labels[batch], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
    model.eval()


def accuracy(model: DigitsNet, data: Split) -> float:
    """Return the share of images classified right."""
    with torch.no_grad():
        return float((model(data.images).argmax(1) == data.labels).float().mean())


def save(model: DigitsNet, test: Split, folder: Path) -> None:
    """Write ``digits.pt2`` (batch 1) and the test split ``digits_test.npz`` (uint8 images 0..16, labels)."""
    program = torch.export.export(model, (test.images[:1],), strict=False)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names the folders of whoever trained it
    torch.export.save(program, folder / "digits.pt2")
    images = (test.images.numpy() * 16).astype(np.uint8)
    np.savez_compressed(folder / "digits_test.npz", images=images, labels=test.labels.numpy().astype(np.uint8))


def main(epochs: int = 60, seed: int = 0, output: Path = ZOO) -> None:
    """Train, print the test accuracy and write the model with its test split.

    Parameters
    ----------
    epochs
        Passes over the 1,437 training images.
    seed
        Seeds the split, the initial weights and the order of the batches.
    output
        Folder that receives ``digits.pt2`` and ``digits_test.npz``.
    """
    torch.manual_seed(seed)
    train, test = load_digits(seed)
    model = DigitsNet()
    fit(model, train, epochs, seed)
    save(model, test, output)
    print(f"test accuracy {accuracy(model, test):.2%} on {len(test.labels)} images", file=sys.stdout)


if __name__ == "__main__":
    tyro.cli(main)
