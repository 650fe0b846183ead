"""``--dump-ir``: the module after every pass, as files that can be read."""

from __future__ import annotations

import itertools
from pathlib import Path

from relay_passes import pipeline
from schedules.files.whole_file import write_atomically


def ir_dumper(folder: Path | None) -> pipeline.Observer | None:
    """Return an observer that writes the module after every pass to ``<folder>/<number>_<pass>.py``."""
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    numbers = itertools.count(1)

    def dump(applied: pipeline.Applied) -> None:
        path = folder / f"{next(numbers):02d}_{applied.name}.py"
        write_atomically(path, applied.module.script().encode())

    return dump
