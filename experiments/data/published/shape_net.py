"""ShapeNet-Part (Yi et al., SIGGRAPH Asia 2016): clouds whose points belong to one of 50 parts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from experiments.data.dataset import Array, Dataset, Decoded
from experiments.data.folder import Folder
from experiments.data.published.model_net40 import normalized

ADVICE = (
    "shapenetcore_partanno_segmentation_benchmark_v0_normal.zip from"
    " https://shapenet.cs.stanford.edu/media/shapenetcore_partanno_segmentation_benchmark_v0_normal.zip and unpack it"
    " there"
)
_PARTS = 50
_LABEL = 6
_LISTS = {"train": ("train", "val"), "test": ("test",)}


def load(path: Path, points: int) -> Dataset:
    """Read ShapeNet-Part; clouds are read when they are asked for, the first points of each.

    Raises
    ------
    UserError
        If a list or a cloud is missing.
    """
    folder = Folder("shapenet", path, ADVICE)
    lists = [f"train_test_split/shuffled_{name}_file_list.json" for names in _LISTS.values() for name in names]
    folder.require(["synsetoffset2category.txt", *lists])
    splits = [_split(folder, names, points) for names in _LISTS.values()]
    return Dataset("shapenet", "points", "miou", tuple(f"part {part}" for part in range(_PARTS)), splits[0], splits[1])


def _split(folder: Folder, names: tuple[str, ...], points: int) -> Decoded:
    listed = [
        "/".join(line.split("/")[1:]) + ".txt"  # they begin with shape_data/
        for name in names
        for line in msgspec.json.decode(
            (folder.path / "train_test_split" / f"shuffled_{name}_file_list.json").read_bytes(), type=list[str]
        )
    ]
    files = folder.require(listed)
    return Decoded(files, lambda file: normalized(_rows(file, points)[None, :, :3])[0], _Labels(files, points))


def _rows(file: Path, points: int) -> Array:
    """Return ``(points, 7)``: position, normal, part; a cloud of fewer points repeats them."""
    rows = np.loadtxt(file, dtype=np.float32, max_rows=points, ndmin=2)
    return rows[np.arange(points) % len(rows)]


class _Labels:
    """The parts of a cloud's points, read when they are asked for."""

    def __init__(self, files: list[Path], points: int) -> None:
        self.files, self.points = files, points

    def __getitem__(self, number: int) -> Array:
        return _rows(self.files[number], self.points)[:, _LABEL].astype(np.int64)
