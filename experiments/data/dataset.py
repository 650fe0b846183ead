"""What every loader returns: raw samples with targets, in memory or decoded when they are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Task: TypeAlias = Literal["image", "detection", "points", "text", "audio", "matting"]
#: How good a model is at it: the name of a metric, see ``experiments.tracks.scoring``.
Metric: TypeAlias = Literal["accuracy", "map", "coco_map", "miou", "matthews", "f1", "spearman", "matting"]


class Split(Protocol):
    """Samples that can be fetched by their numbers."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def __getitem__(self, numbers: Sequence[int]) -> tuple[Array, Any]:
        """Return the raw inputs of several samples, first axis samples, and their targets."""
        ...


@dataclasses.dataclass(frozen=True)
class InMemory:
    """Samples that are all in memory.

    Parameters
    ----------
    inputs
        ``(N, …)``.
    targets
        ``(N, …)``, or a list of N where they differ in shape.
    """

    inputs: Array
    targets: Any

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.inputs)

    def __getitem__(self, numbers: Sequence[int]) -> tuple[Array, Any]:
        """Return copies."""
        rows = np.asarray(numbers, np.int64)
        targets = [self.targets[row] for row in rows] if isinstance(self.targets, list) else self.targets[rows]
        return self.inputs[rows], targets


@dataclasses.dataclass(frozen=True)
class Decoded:
    """Samples that are read one by one: what does not fit into memory.

    Parameters
    ----------
    items
        One for each sample, whatever ``read`` understands.
    read
        Returns a sample's raw input; the same shape for all.
    targets
        An array, or a list where they differ in shape.
    """

    items: Sequence[Any]
    read: Callable[[Any], Array]
    targets: Any

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.items)

    def __getitem__(self, numbers: Sequence[int]) -> tuple[Array, Any]:
        """Read them."""
        targets = [self.targets[n] for n in numbers]
        inputs = np.stack([self.read(self.items[number]) for number in numbers])
        return inputs, targets if isinstance(self.targets, list) else np.asarray(targets)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set, split.

    Raw inputs are: ``image`` and ``detection`` ``(N, H, W, C)`` uint8; ``matting`` ``(N, T, H, W, 3)`` uint8;
    ``points`` ``(N, P, 3)`` float32; ``text`` ``(N, L)`` int64 of word numbers, 0 behind the end; ``audio`` ``(N, T)``
    float32 waves in [-1, 1].

    Targets are: a class ``(N,)`` int64 (``spearman``: a float); for each point a part ``(N, P)``; mattes
    ``(N, T, 1, H, W)`` float32; for detection a list of :class:`experiments.metrics.detection.Boxes`, corners from 0
    to 1.

    Parameters
    ----------
    name, task, metric
        What it is.
    classes
        Names.
    train, test
        Splits; the labels of what the publisher calls test are often secret, so it may be the validation split.
    mirrored
        Whether a picture's mirror image is as good a picture.
    rate
        Samples a second, of audio.
    """

    name: str
    task: Task
    metric: Metric
    classes: tuple[str, ...]
    train: Split
    test: Split
    mirrored: bool = False
    rate: int = 0


#: Splits below this size are decoded once and kept: decoding them again every epoch would take longer than training.
_KEPT_BYTES = 1 << 30


def kept(split: Split) -> Split:
    """Return a split in memory if it is small enough, else as it is."""
    if isinstance(split, InMemory) or not len(split):
        return split
    inputs, _ = split[[0]]
    if inputs.nbytes * len(split) > _KEPT_BYTES:
        return split
    return InMemory(*split[list(range(len(split)))])


def first(split: Split, count: int | None) -> Split:
    """Return the split, cut to its first samples if ``count`` says so; evenly spread, so that all classes are there."""
    if count is None or count >= len(split):
        return split
    numbers = np.linspace(0, len(split) - 1, count).astype(np.int64)
    return _Chosen(split, numbers)


@dataclasses.dataclass(frozen=True)
class _Chosen:
    split: Split
    numbers: Array

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, numbers: Sequence[int]) -> tuple[Array, Any]:
        return self.split[[int(self.numbers[number]) for number in numbers]]
