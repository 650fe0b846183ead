"""Pictures: scikit-learn's 1,797 handwritten digits (Alpaydin & Kaynak, 1998), the usual four fifths for training."""

from __future__ import annotations

import numpy as np

from experiments.data.dataset import Dataset, InMemory
from experiments.data.reading.picture_files import resized

_LARGEST, _TRAIN = 16, 1437


def load(side: int) -> Dataset:
    """Return the digits as ``(N, side, side, 1)`` uint8, in an order that a seed decides."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    order = np.random.default_rng(0).permutation(len(loaded.target))
    images = np.rint(loaded.images[order] * (255 / _LARGEST)).astype(np.uint8)[..., None]
    images, labels = resized(images, side), loaded.target[order].astype(np.int64)
    train, test = InMemory(images[:_TRAIN], labels[:_TRAIN]), InMemory(images[_TRAIN:], labels[_TRAIN:])
    return Dataset("digits", "image", "accuracy", tuple("0123456789"), train, test)
