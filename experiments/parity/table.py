"""The cells as a table in Markdown: a row for each architecture, a column for each binarizer."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.parity.records import Cell


def markdown(cells: Sequence[Cell]) -> str:
    """Return the table, in the order in which names first appear; the last record of a cell counts."""
    found = {(cell.architecture, cell.binarizer): cell for cell in cells}
    rows = list(dict.fromkeys(cell.architecture for cell in cells))
    columns = list(dict.fromkeys(cell.binarizer for cell in cells))
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for row in rows:
        texts = [text(found[row, column]) if (row, column) in found else "" for column in columns]
        lines.append(f"| {row} | {' | '.join(texts)} |")
    return "\n".join(lines)


def text(cell: Cell) -> str:
    """Return samples that agree of those compared, what float64 makes of it where that is less, and what is wrong.

    ``0+16/16`` agree once PyTorch decides near ties as the compiled model does.
    """
    if cell.message:
        return "no: " + cell.message.replace("|", "\\|")
    explained = f"+{cell.explained}" if cell.explained else ""
    agreeing = f"{cell.agreeing}{explained}/{cell.samples}"
    if cell.yardstick is not None and cell.yardstick < cell.samples:
        agreeing += f" ({cell.yardstick})"
    return agreeing if cell.is_right else f"{agreeing}, {cell.on_bits} of {cell.there} on bits"
