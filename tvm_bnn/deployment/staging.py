"""Files of a folder change one by one, each from its old content to its new one at once, and only when all are good."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schedules.errors import UserError
from schedules.files.whole_file import reason


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Lend a folder whose files are moved to ``folder`` afterwards; if something is raised, they are thrown away.

    Programs that read or execute a file of ``folder`` meanwhile keep what they have. The lent folder lies in
    ``folder``, because files can only be moved within a file system.

    Raises
    ------
    UserError
        If the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".deploying_") as name:
            staging = Path(name)
            yield staging
            for file in sorted(path for path in staging.rglob("*") if path.is_file()):
                place = folder / file.relative_to(staging)
                place.parent.mkdir(parents=True, exist_ok=True)
                file.replace(place)
    except OSError as error:
        raise UserError(f"folder '{folder}': cannot be written ({reason(error)})") from None
