"""Cells as JSON lines: appended one write each; a line that a kill cut off is run again."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import msgspec

from schedules.files import record_file


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one architecture with one binarizer.

    Parameters
    ----------
    architecture, binarizer, small, target
        Which cell it is.
    there, on_bits
        Products of binary operands in the network, and layers that the compiler runs on bits.
    layers
        Convolutions, linear layers and matrix products in all.
    samples, agreeing, explained, yardstick
        Compared, and agreeing with PyTorch, at once and with near ties decided otherwise; and of PyTorch's own float64
        (None if it cannot run).
    max_difference, relative_error
        Between the outputs.
    message
        Why there is no comparison; empty if there is one.
    """

    architecture: str
    binarizer: str
    small: bool
    target: str
    there: int
    on_bits: int = 0
    layers: int = 0
    samples: int = 0
    agreeing: int = 0
    explained: int = 0
    yardstick: int | None = None
    max_difference: float = 0.0
    relative_error: float = 0.0
    message: str = ""
    date: str = msgspec.field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))

    @property
    def key(self) -> tuple[str, str, bool, str]:
        """What distinguishes it from other cells."""
        return self.architecture, self.binarizer, self.small, self.target

    @property
    def is_right(self) -> bool:
        """Whether it compiled, passed the parity check, and runs every binary product on bits."""
        return not self.message and self.on_bits == self.there

    def with_(self, **changes: Any) -> Cell:
        """Return a copy with other values."""
        return msgspec.structs.replace(self, **changes)


def read(path: Path) -> list[Cell]:
    """Return the cells of a file, none if there is no file.

    Raises
    ------
    UserError
        If it cannot be read, or a whole line is no cell.
    """
    return record_file.read(path, Cell) if path.exists() else []


def append(path: Path, cell: Cell) -> None:
    """Append one cell in one write; it starts a line of its own even behind one that was cut off.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    record_file.append(path, [cell])
