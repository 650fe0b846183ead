"""CIFAR-10 (Krizhevsky, 2009) in its publisher's Python or binary files."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.dataset import Array, Dataset, InMemory
from experiments.data.folder import Folder
from experiments.data.reading.picture_files import resized

ADVICE = (
    "cifar-10-python.tar.gz or cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html"
    " and unpack it there"
)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_IMAGES_A_FILE, _BYTES_AN_IMAGE = 10_000, 3072


def load(path: Path, side: int) -> Dataset:
    """Read CIFAR-10.

    Parameters
    ----------
    path
        The folder with ``data_batch_1`` … ``test_batch``, with or without ``.bin``.
    side
        Of the images, in pixels; 32 as they are.

    Raises
    ------
    UserError
        If a file is missing or damaged.
    """
    folder = Folder("cifar10", path, ADVICE)
    binary = any(path.glob("*.bin"))
    suffix = ".bin" if binary else ""
    names = [f"{name}{suffix}" for name in (*_TRAIN, "test_batch")]
    parts = [(_binary if binary else _python)(folder, file) for file in folder.require(names)]
    images = np.concatenate([resized(images, side) for images, _ in parts])
    labels = np.concatenate([labels for _, labels in parts])
    cut = len(labels) - len(parts[-1][1])
    train, test = InMemory(images[:cut], labels[:cut]), InMemory(images[cut:], labels[cut:])
    return Dataset("cifar10", "image", "accuracy", CLASSES, train, test, mirrored=True)


def _binary(folder: Folder, file: Path) -> tuple[Array, Array]:
    content = np.frombuffer(file.read_bytes(), np.uint8)
    if content.size % (1 + _BYTES_AN_IMAGE) or not content.size:
        raise folder.refuse(f"'{file.name}' has {content.size} bytes, no multiple of {1 + _BYTES_AN_IMAGE}")
    rows = content.reshape(-1, 1 + _BYTES_AN_IMAGE)
    return _pictures(rows[:, 1:]), rows[:, 0].astype(np.int64)


def _python(folder: Folder, file: Path) -> tuple[Array, Array]:
    try:
        content = _ArraysOnly(io.BytesIO(file.read_bytes()), encoding="bytes").load()
        return _pictures(np.asarray(content[b"data"], np.uint8)), np.asarray(content[b"labels"], np.int64)
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise folder.refuse(f"'{file.name}' is no batch of CIFAR-10 ({error})") from None


def _pictures(rows: Array) -> Array:
    """Return ``(N, 32, 32, 3)`` of rows that hold all red values, then all green, then all blue ones."""
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


class _ArraysOnly(pickle.Unpickler):
    """A pickle may call any function it names; these files need two of NumPy's."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".", maxsplit=1)[0] == "numpy" and name in {"_reconstruct", "ndarray", "dtype"}:
            from numpy._core import multiarray

            return {"_reconstruct": multiarray._reconstruct, "ndarray": np.ndarray, "dtype": np.dtype}[name]
        if (module, name) == ("_codecs", "encode"):
            import codecs

            return codecs.encode
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")
