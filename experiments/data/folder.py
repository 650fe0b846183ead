"""Whether a folder holds a data set completely; one line says what it lacks and where to get it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from schedules.errors import UserError

_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Folder:
    """Where the user says that a data set lies.

    Parameters
    ----------
    dataset
        Its name.
    path
        The folder.
    advice
        Where to get it, completing "get …".
    """

    dataset: str
    path: Path
    advice: str

    def refuse(self, found: str) -> UserError:
        """Return the error to raise."""
        return UserError(f"data '{self.dataset}' in '{self.path}': {found}; get {self.advice}")

    def require(self, names: Sequence[str]) -> list[Path]:
        """Return these files or folders.

        Raises
        ------
        UserError
            If one is missing.
        """
        if not self.path.is_dir():
            raise self.refuse("there is no such folder")
        missing = [name for name in names if not (self.path / name).exists()]
        if missing:
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            raise self.refuse(f"{len(missing)} of {len(names)} parts are missing: {', '.join(missing[:_NAMED])}{more}")
        return [self.path / name for name in names]

    def require_count(self, what: str, found: int, expected: int) -> None:
        """Raise unless there are as many of something as there should be."""
        if found < expected:
            raise self.refuse(f"{found} of {expected} {what} are there")
