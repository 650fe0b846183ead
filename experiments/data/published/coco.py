"""COCO 2017 (Lin et al., ECCV 2014): trained on train2017, tested on val2017."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from experiments.data.dataset import Dataset, Decoded
from experiments.data.folder import Folder
from experiments.data.reading.picture_files import squeezed
from experiments.metrics.detection import Boxes

ADVICE = (
    "train2017.zip, val2017.zip and annotations_trainval2017.zip from https://cocodataset.org/#download and unpack them"
    " there"
)


class _Picture(msgspec.Struct):
    id: int
    file_name: str
    width: float
    height: float


class _Thing(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _Category(msgspec.Struct):
    id: int
    name: str


class _Annotations(msgspec.Struct):
    images: list[_Picture]
    annotations: list[_Thing]
    categories: list[_Category]


def load(path: Path, side: int) -> Dataset:
    """Read COCO; pictures are decoded when they are asked for, as squares.

    Raises
    ------
    UserError
        If a file is missing or is no annotation.
    """
    folder = Folder("coco", path, ADVICE)
    parts = ("train2017", "val2017")
    folder.require([*parts, *(f"annotations/instances_{part}.json" for part in parts)])
    read = {part: _annotations(folder, path / "annotations" / f"instances_{part}.json") for part in parts}
    categories = sorted(read["val2017"].categories, key=lambda category: category.id)
    labels = {category.id: label for label, category in enumerate(categories)}
    train, test = (_split(folder, part, read[part], labels, side) for part in parts)
    names = tuple(category.name for category in categories)
    return Dataset("coco", "detection", "coco_map", names, train, test, mirrored=True)


def _annotations(folder: Folder, file: Path) -> _Annotations:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Annotations)
    except msgspec.MsgspecError as error:
        raise folder.refuse(f"'{file.name}' holds no COCO annotations ({error})") from None


def _split(folder: Folder, part: str, read: _Annotations, labels: dict[int, int], side: int) -> Decoded:
    things: dict[int, list[_Thing]] = {picture.id: [] for picture in read.images}
    for thing in read.annotations:
        things[thing.image_id].append(thing)
    pictures = folder.require([f"{part}/{picture.file_name}" for picture in read.images])
    return Decoded(pictures, squeezed(side), [_boxes(picture, things[picture.id], labels) for picture in read.images])


def _boxes(picture: _Picture, things: list[_Thing], labels: dict[int, int]) -> Boxes:
    """Return corners from 0 to 1; crowds are neither asked for nor counted as false."""
    sizes = np.array([thing.bbox for thing in things], np.float64).reshape(-1, 4)
    corners = np.concatenate([sizes[:, :2], sizes[:, :2] + sizes[:, 2:]], axis=1)
    return Boxes(
        corners / [picture.width, picture.height, picture.width, picture.height],
        np.array([labels[thing.category_id] for thing in things], np.int64),
        np.ones(len(things)),
        np.array([bool(thing.iscrowd) for thing in things], np.bool_),
    )
