"""ImageNet (ILSVRC 2012), and any other pictures in class folders."""

from __future__ import annotations

from pathlib import Path

from experiments.data.dataset import Dataset
from experiments.data.folder import Folder
from experiments.data.reading.picture_files import class_folders, class_names

ADVICE = (
    "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://image-net.org/download.php and unpack them as"
    " train/<wnid>/*.JPEG and val/<wnid>/*.JPEG"
)
_CLASSES, _VALIDATION = 1000, 50_000
FOLDER_ADVICE = "pictures and lay them out as train/<class>/*.jpg and test/<class>/*.jpg (or val/)"


def load(path: Path, side: int) -> Dataset:
    """Read ImageNet; pictures are decoded when they are asked for.

    Raises
    ------
    UserError
        If classes or validation pictures are missing.
    """
    folder = Folder("imagenet", path, ADVICE)
    train, test = folder.require(["train", "val"])
    classes = class_names(train)
    folder.require_count("training classes", len(classes), _CLASSES)
    folder.require([f"val/{name}" for name in classes])
    dataset = Dataset(
        *("imagenet", "image", "accuracy"),
        *(classes, class_folders(train, classes, side), class_folders(test, classes, side)),
        mirrored=True,
    )
    folder.require_count("validation pictures", len(dataset.test), _VALIDATION)
    return dataset


def load_folder(path: Path, side: int) -> Dataset:
    """Read pictures in class folders, whatever they show.

    Raises
    ------
    UserError
        If a split or a class of it is missing.
    """
    folder = Folder("image-folder", path, FOLDER_ADVICE)
    test_name = "val" if (path / "val").is_dir() else "test"
    train, test = folder.require(["train", test_name])
    classes = class_names(train)
    if not classes:
        raise folder.refuse("'train' has no class folders")
    folder.require([f"{test_name}/{name}" for name in classes])
    splits = [class_folders(part, classes, side) for part in (train, test)]
    if not all(len(split) for split in splits):
        raise folder.refuse("there are no pictures")
    return Dataset("image-folder", "image", "accuracy", classes, splits[0], splits[1], mirrored=True)
