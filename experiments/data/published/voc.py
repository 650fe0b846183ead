"""PASCAL VOC (Everingham et al., IJCV 2010): trained on trainval of 2007 and 2012, tested on test of 2007."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from experiments.data.dataset import Dataset, Decoded
from experiments.data.folder import Folder
from experiments.data.reading.picture_files import squeezed
from experiments.metrics.detection import Boxes

ADVICE = (
    "VOCtrainval_06-Nov-2007.tar, VOCtest_06-Nov-2007.tar and VOCtrainval_11-May-2012.tar from"
    " http://host.robots.ox.ac.uk/pascal/VOC/ and unpack them there, all into VOCdevkit/"
)
CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_TRAIN = (("VOC2007", "trainval"), ("VOC2012", "trainval"))
_TEST = (("VOC2007", "test"),)


def load(path: Path, side: int) -> Dataset:
    """Read VOC 07+12; pictures are decoded when they are asked for, as squares.

    Raises
    ------
    UserError
        If a list, an annotation or a picture is missing, or an annotation cannot be read.
    """
    folder = Folder("voc", path / "VOCdevkit" if (path / "VOCdevkit").is_dir() else path, ADVICE)
    folder.require([f"{year}/ImageSets/Main/{name}.txt" for year, name in (*_TRAIN, *_TEST)])
    train, test = (_split(folder, parts, side) for parts in (_TRAIN, _TEST))
    return Dataset("voc", "detection", "map", CLASSES, train, test, mirrored=True)


def _split(folder: Folder, parts: tuple[tuple[str, str], ...], side: int) -> Decoded:
    names = [
        f"{year}/{{}}/{line.split()[0]}"
        for year, name in parts
        for line in (folder.path / year / "ImageSets" / "Main" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    annotations = folder.require([f"{name.format('Annotations')}.xml" for name in names])
    pictures = folder.require([f"{name.format('JPEGImages')}.jpg" for name in names])
    return Decoded(pictures, squeezed(side), [_boxes(folder, file) for file in annotations])


def _boxes(folder: Folder, file: Path) -> Boxes:
    """Return the objects of an annotation; corners count from 1 there."""
    try:
        root = ElementTree.parse(file).getroot()
        width, height = (float(root.findtext(f"size/{axis}", "")) for axis in ("width", "height"))
        rows = [
            [float(thing.findtext(f"bndbox/{edge}", "")) - 1 for edge in ("xmin", "ymin", "xmax", "ymax")]
            for thing in root.iter("object")
        ]
        labels = [CLASSES.index(thing.findtext("name", "")) for thing in root.iter("object")]
        difficult = [thing.findtext("difficult", "0").strip() == "1" for thing in root.iter("object")]
    except (ElementTree.ParseError, ValueError) as error:
        raise folder.refuse(f"annotation '{file.name}' cannot be read ({error})") from None
    corners = np.array(rows, np.float64).reshape(-1, 4) / [width, height, width, height]
    return Boxes(corners, np.array(labels, np.int64), np.ones(len(labels)), np.array(difficult, np.bool_))
