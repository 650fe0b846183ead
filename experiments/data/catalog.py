"""The table of data sets: the names that ``--data NAME=DIR`` takes, and each modality's default."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from experiments.data.dataset import Dataset, Task
from experiments.data.embedded import handwriting, portraits, reviews, scenes, solids, tones
from experiments.data.published import cifar10, coco, glue, image_net, model_net40, shape_net, speech_commands, voc
from schedules.errors import UserError


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a network takes: what raw samples are made to fit.

    Parameters
    ----------
    sample
        Without the batch: ``(C, H, W)``, ``(3, P)`` or ``(P, 3)``, ``(L,)``, ``(1, mels, frames)``, ``(T, 3, H, W)``.
    vocabulary
        Different words, of text.
    """

    sample: tuple[int, ...]
    vocabulary: int = 0

    @property
    def side(self) -> int:
        """The picture's height."""
        return self.sample[-2]

    @property
    def points(self) -> int:
        """How many points a cloud has: the axis that is not x, y and z."""
        return max(self.sample)


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set that can be loaded.

    Parameters
    ----------
    name, task
        What it is called, and what it is for.
    load
        From a folder, if ``embedded`` is False, for a network that takes this.
    embedded
        Whether it needs no folder.
    """

    name: str
    task: Task
    load: Callable[[Path, Shape], Dataset]
    embedded: bool = False


def _text(task: glue.GlueTask) -> Source:
    load = glue.loader(task)
    return Source(
        f"glue-{task.folder.lower()}", "text", lambda path, shape: load(path, shape.sample[0], shape.vocabulary)
    )


SOURCES = (
    Source("cifar10", "image", lambda path, shape: cifar10.load(path, shape.side)),
    Source("imagenet", "image", lambda path, shape: image_net.load(path, shape.side)),
    Source("image-folder", "image", lambda path, shape: image_net.load_folder(path, shape.side)),
    Source("voc", "detection", lambda path, shape: voc.load(path, shape.side)),
    Source("coco", "detection", lambda path, shape: coco.load(path, shape.side)),
    Source("modelnet40", "points", lambda path, shape: model_net40.load(path, shape.points)),
    Source("shapenet", "points", lambda path, shape: shape_net.load(path, shape.points)),
    *(_text(task) for task in glue.TASKS),
    Source("sentences", "text", lambda path, shape: glue.load_lines(path, shape.sample[0], shape.vocabulary)),
    Source("speech-commands", "audio", lambda path, _shape: speech_commands.load(path)),
    Source("spoken-digits", "audio", lambda path, _shape: speech_commands.load_digits(path)),
    Source("digits", "image", lambda _path, shape: handwriting.load(shape.side), embedded=True),
    Source("scenes", "detection", lambda _path, shape: scenes.load(shape.side), embedded=True),
    Source("solids", "points", lambda _path, shape: solids.load(shape.points), embedded=True),
    Source("reviews", "text", lambda _p, shape: reviews.load(shape.sample[0], shape.vocabulary), embedded=True),
    Source("tones", "audio", lambda _path, _shape: tones.load(), embedded=True),
    Source(
        "portraits", "matting", lambda _p, shape: portraits.load(shape.sample[0], *shape.sample[-2:]), embedded=True
    ),
)
#: What each modality is tried on without a download.
DEFAULTS: dict[Task, str] = {source.task: source.name for source in SOURCES if source.embedded}


def find_source(name: str) -> Source:
    """Return the data set of that name.

    Raises
    ------
    UserError
        If there is none.
    """
    for source in SOURCES:
        if source.name == name:
            return source
    raise UserError(f"data '{name}': not known; there are {', '.join(source.name for source in SOURCES)}")
