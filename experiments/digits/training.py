"""Training of the digits' network: the data, the loop, and the files that are kept of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track

from experiments.digits.network import DigitsNet


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
