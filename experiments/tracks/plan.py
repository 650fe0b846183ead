"""What the command line decides about a run: methods, data, networks and how long to train."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from pathlib import Path

import msgspec

from experiments.architectures.architecture import Architecture
from experiments.architectures.catalog import ARCHITECTURES, find_architecture
from experiments.binarizers.catalog import BINARIZERS, FLOAT, PAPER
from experiments.data.catalog import DEFAULTS, Shape, find_source
from experiments.data.dataset import Dataset, Task, kept
from experiments.training.recipe import Recipe
from schedules.errors import UserError

RESULTS = "results.jsonl"
#: What a task is learnt by, where nobody says otherwise; further ones of the same task are the architecture track's.
_TYPICAL: dict[Task, tuple[str, ...]] = {
    "image": ("resnet-20", "vgg-small"),
    "detection": ("ssd300",),
    "points": ("pointnet-vanilla", "pointnet"),
    "text": ("bert-tiny", "bert-small"),
    "audio": ("dfsmn", "fsmn"),
    "matting": ("bimatting",),
}
#: Pictures of 224 pixels are for larger networks.
_TYPICAL_FOR_DATA = {"imagenet": ("resnet-18", "resnet-34"), "coco": ("ssd300",)}


class Workload(msgspec.Struct, frozen=True):
    """Data and the architectures that learn it.

    Parameters
    ----------
    data
        A name of the catalog.
    folder
        Where it lies; empty if it is embedded.
    architectures
        Names; the first is the one that tracks which need only one take.
    small
        Whether networks have their small size.
    """

    data: str
    folder: str
    architectures: tuple[str, ...]
    small: bool


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A run.

    Parameters
    ----------
    folder
        For results, checkpoints and artifacts; shared by all machines that work on it.
    algorithms
        Methods beside full precision.
    workloads
        Data and architectures.
    recipe, recipes
        How everything is trained, but for the tasks that have a recipe of their own.
    repeats
        Samples of a measurement.
    tracker
        ``HOST:PORT`` of a tracker whose devices the hardware track measures on too; empty for none.
    test_samples
        At most so many are corrupted; None for all.
    corruptions
        The kinds that the robustness track applies.
    corrupted
        The folder of CIFAR10-C, if the robustness track is to read it instead of corrupting the test images itself.
    """

    folder: str
    algorithms: tuple[str, ...]
    workloads: tuple[Workload, ...]
    recipe: Recipe
    recipes: tuple[tuple[str, Recipe], ...] = ()
    repeats: int = 30
    tracker: str = ""
    test_samples: int | None = None
    corruptions: tuple[str, ...] = ()
    corrupted: str = ""

    @property
    def results(self) -> Path:
        """The file that results are appended to."""
        return Path(self.folder) / RESULTS

    @property
    def settings(self) -> str:
        """A hash of what decides results besides the cell."""
        workloads = sorted((w.data, w.folder, w.small) for w in self.workloads)
        deciding = (self.recipe, self.recipes, self.test_samples, workloads)
        return hashlib.sha256(msgspec.json.encode(deciding)).hexdigest()[:12]

    @property
    def methods(self) -> tuple[str, ...]:
        """Full precision, then the algorithms."""
        return (FLOAT.name, *self.algorithms)

    def workload(self, data: str) -> Workload:
        """Return the workload of that data."""
        return next(workload for workload in self.workloads if workload.data == data)


def load_data(workload: Workload, architecture: Architecture) -> Dataset:
    """Return a workload's data for an architecture; the last one stays in memory."""
    spec = (architecture.small_inputs if workload.small else architecture.inputs)[0]
    return _loaded(workload.data, workload.folder, Shape(spec.shape, spec.vocabulary))


@functools.lru_cache(maxsize=1)
def _loaded(name: str, folder: str, shape: Shape) -> Dataset:
    dataset = find_source(name).load(Path(folder), shape)
    return dataclasses.replace(dataset, train=kept(dataset.train), test=kept(dataset.test))


def workloads(
    data: dict[str, str], default_data: bool, architectures: tuple[str, ...], small: bool
) -> tuple[Workload, ...]:
    """Return what to train on what.

    Parameters
    ----------
    data
        Folders by name.
    default_data
        Whether modalities without a folder take the embedded data.
    architectures
        Only these, if there are any.
    small
        Whether networks on data of the user's have their small size; on embedded data they always do.

    Raises
    ------
    UserError
        If a name is unknown, or nothing is left to do.
    """
    for name in architectures:
        find_architecture(name)
    tasks = {find_source(name).task for name in data}
    defaults = [name for task, name in DEFAULTS.items() if default_data and task not in tasks]
    wanted = [(name, folder, small) for name, folder in data.items()] + [(name, "", True) for name in defaults]
    found = [
        Workload(name, folder, chosen, is_small)
        for name, folder, is_small in wanted
        if (chosen := _architectures(name, architectures))
    ]
    if not found:
        raise UserError(
            "nothing to run: give --default-data, or --data NAME=FOLDER for data that an architecture takes"
        )
    return tuple(found)


def _architectures(data: str, only: tuple[str, ...]) -> tuple[str, ...]:
    """Return the architectures for a data set, typical ones first."""
    task = find_source(data).task
    fitting = tuple(architecture.name for architecture in ARCHITECTURES if architecture.task == task)
    if only:
        return tuple(name for name in only if name in fitting)
    typical = _TYPICAL_FOR_DATA.get(data, _TYPICAL[task])
    return tuple(name for name in typical if name in fitting) or fitting[:1]


def algorithms(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return methods by name: the paper's eight if there are none, every one of the table for ``all``.

    Raises
    ------
    UserError
        If a name is unknown.
    """
    known = tuple(binarizer.name for binarizer in BINARIZERS)
    if names == ("all",):
        return known
    for name in names:
        if name not in known:
            raise UserError(f"algorithm '{name}': not known; there are {', '.join(known)}, and 'all'")
    return names or PAPER
