"""CIFAR10-C (Hendrycks & Dietterich, ICLR 2019): an array of 50,000 corrupted test images for each corruption."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.corruptions.catalog import SEVERITIES, STANDARD
from experiments.data.dataset import InMemory
from experiments.data.folder import Folder
from experiments.data.reading.picture_files import resized

ADVICE = "CIFAR-10-C.tar from https://zenodo.org/records/2535967 and unpack it there"


def load_corruption(path: Path, kind: str, severity: int, side: int) -> InMemory:
    """Read the test images under one corruption.

    Parameters
    ----------
    path
        The folder with ``labels.npy`` and ``<kind>.npy``.
    kind, severity
        As in :mod:`experiments.corruptions.catalog`.
    side
        Of the images, in pixels.

    Raises
    ------
    UserError
        If one of the fifteen corruptions or this one is missing, or the arrays do not fit each other.
    """
    folder = Folder("cifar10-c", path, ADVICE)
    folder.require(["labels.npy", *(f"{name}.npy" for name in {**STANDARD, kind: None})])
    images: npt.NDArray[np.uint8] = np.load(path / f"{kind}.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(path / "labels.npy", allow_pickle=False)
    if len(images) != len(labels) or len(images) % len(SEVERITIES):
        raise folder.refuse(f"'{kind}.npy' holds {len(images)} images, 'labels.npy' {len(labels)} labels")
    count = len(images) // len(SEVERITIES)
    part = slice((severity - 1) * count, severity * count)
    return InMemory(resized(np.asarray(images[part]), side), labels[part].astype(np.int64))
