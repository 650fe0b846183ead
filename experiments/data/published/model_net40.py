"""ModelNet40 (Wu et al., CVPR 2015): clouds of points of 40 kinds of things, in any of its three usual forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from experiments.data.dataset import Array, Dataset, Decoded, InMemory, Split
from experiments.data.folder import Folder
from experiments.data.reading.picture_files import class_names
from schedules.errors import UserError

ADVICE = (
    "modelnet40_ply_hdf5_2048.zip (https://shapenet.cs.stanford.edu/media/modelnet40_ply_hdf5_2048.zip),"
    " modelnet40_normal_resampled.zip from the same place, or ModelNet40.zip from https://modelnet.cs.princeton.edu,"
    " and unpack it there"
)
_CLASSES = 40


def load(path: Path, points: int) -> Dataset:
    """Read ModelNet40, with so many points a cloud, inside the unit sphere.

    Parameters
    ----------
    path
        The folder with ``train_files.txt`` (HDF5), ``modelnet40_train.txt`` (text) or class folders (OFF meshes).
    points
        Of each cloud; from meshes they are drawn by area, with a fixed seed.

    Raises
    ------
    UserError
        If it is none of the three, or a file is missing or damaged.
    """
    folder = Folder("modelnet40", path, ADVICE)
    if (path / "train_files.txt").exists():
        names, train, test = _hdf5(folder, points)
    elif (path / "modelnet40_train.txt").exists():
        names, train, test = _text(folder, points)
    elif path.is_dir() and any(path.glob("*/train/*.off")):
        names, train, test = _meshes(folder, points)
    else:
        raise folder.refuse("there is no train_files.txt, no modelnet40_train.txt and no <class>/train/*.off")
    folder.require_count("classes", len(names), _CLASSES)
    return Dataset("modelnet40", "points", "accuracy", names, train, test)


def _hdf5(folder: Folder, points: int) -> tuple[tuple[str, ...], Split, Split]:
    import h5py

    def split(part: str) -> Split:
        listed = (folder.path / f"{part}_files.txt").read_text(encoding="utf-8").split()
        # The lists name the files by where they lay on their author's disk.
        clouds, labels = [], []
        for file in folder.require([Path(line).name for line in listed]):
            try:
                with h5py.File(file) as stored:
                    clouds.append(np.asarray(stored["data"], np.float32)[:, :points])
                    labels.append(np.asarray(stored["label"], np.int64).ravel())
            except (OSError, KeyError) as error:
                raise folder.refuse(f"'{file.name}' cannot be read ({error})") from None
        if not clouds:
            raise folder.refuse(f"'{part}_files.txt' is empty")
        return InMemory(normalized(np.concatenate(clouds)), np.concatenate(labels))

    folder.require(["train_files.txt", "test_files.txt", "shape_names.txt"])
    names = tuple((folder.path / "shape_names.txt").read_text(encoding="utf-8").split())
    return names, split("train"), split("test")


def _text(folder: Folder, points: int) -> tuple[tuple[str, ...], Split, Split]:
    folder.require(["modelnet40_shape_names.txt", "modelnet40_train.txt", "modelnet40_test.txt"])
    names = tuple((folder.path / "modelnet40_shape_names.txt").read_text(encoding="utf-8").split())

    def split(part: str) -> Split:
        listed = (folder.path / f"modelnet40_{part}.txt").read_text(encoding="utf-8").split()
        labels = [_label(folder, names, line.rsplit("_", 1)[0]) for line in listed]
        kinds = [line.rsplit("_", 1)[0] for line in listed]
        files = folder.require([f"{kind}/{line}.txt" for kind, line in zip(kinds, listed, strict=True)])
        return Decoded(files, _rows_of_text(points), np.array(labels, np.int64))

    return names, split("train"), split("test")


def _meshes(folder: Folder, points: int) -> tuple[tuple[str, ...], Split, Split]:
    names = class_names(folder.path)
    folder.require([f"{name}/{part}" for name in names for part in ("train", "test")])

    def split(part: str) -> Split:
        items = [
            (file, label)
            for label, name in enumerate(names)
            for file in sorted((folder.path / name / part).glob("*.off"))
        ]
        return Decoded([file for file, _ in items], _sampled_mesh(points), np.array([y for _, y in items], np.int64))

    return names, split("train"), split("test")


def _label(folder: Folder, names: tuple[str, ...], name: str) -> int:
    if name not in names:
        raise folder.refuse(f"'{name}' is not among the shape names")
    return names.index(name)


def _rows_of_text(points: int) -> Callable[[Path], Array]:
    def read(file: Path) -> Array:
        rows = np.loadtxt(file, delimiter=",", dtype=np.float32, max_rows=points, ndmin=2)
        return np.asarray(normalized(rows[None, :, :3])[0])

    return read


def _sampled_mesh(points: int) -> Callable[[Path], Array]:
    def read(file: Path) -> Array:
        return np.asarray(normalized(sampled(*read_off(file), points, np.random.default_rng(0))[None])[0])

    return read


def read_off(file: Path) -> tuple[Array, Array]:
    """Return corners ``(V, 3)`` and triangles ``(F, 3)`` of an OFF file; polygons become fans of triangles.

    Raises
    ------
    UserError
        If it is no OFF file.
    """
    text = file.read_text(encoding="ascii", errors="replace").lstrip()
    if not text.startswith("OFF"):
        raise UserError(f"mesh '{file}': it does not begin with OFF")
    # Some files of ModelNet40 have their counts in the first line, without a blank.
    numbers = text[len("OFF") :].split()
    try:
        corners, faces = int(numbers[0]), int(numbers[1])
        at = 3 + 3 * corners
        positions = np.array(numbers[3:at], np.float64).reshape(corners, 3)
        triangles = []
        for _ in range(faces):
            sides = int(numbers[at])
            fan = [int(number) for number in numbers[at + 1 : at + 1 + sides]]
            triangles += [(fan[0], fan[i], fan[i + 1]) for i in range(1, len(fan) - 1)]
            at += 1 + sides
    except (ValueError, IndexError):
        raise UserError(f"mesh '{file}': it is cut short or holds what is no number") from None
    return positions, np.array(triangles, np.int64).reshape(-1, 3)


def sampled(corners: Array, triangles: Array, points: int, rng: np.random.Generator) -> Array:
    """Return points drawn uniformly from a surface, ``(points, 3)`` float32 (Osada et al., TOG 2002, eq. 1)."""
    a, b, c = (corners[triangles[:, index]] for index in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    chosen = rng.choice(len(triangles), points, p=areas / areas.sum())
    root, second = np.sqrt(rng.random((points, 1))), rng.random((points, 1))
    made = (1 - root) * a[chosen] + root * (1 - second) * b[chosen] + root * second * c[chosen]
    return np.asarray(made, np.float32)


def normalized(clouds: Array) -> Array:
    """Return ``(N, P, 3)`` float32 about the origin, the farthest point at distance 1."""
    centred = clouds - clouds.mean(axis=1, keepdims=True)
    reach = np.linalg.norm(centred, axis=2).max(axis=1)[:, None, None]
    return np.asarray(centred / np.maximum(reach, 1e-9), np.float32)
