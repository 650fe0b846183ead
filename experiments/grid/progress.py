"""How far a grid is, and when it will be done: a bar on a terminal, a line for each cell otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from experiments.tracks.result import Cell, Result


class Tell(Protocol):
    """Takes each result."""

    def __call__(self, result: Result) -> None:
        """Show it."""


@contextmanager
def progress(cells: Sequence[Cell], done: int) -> Iterator[Tell]:
    """Show progress on stderr; failures stay on the screen."""
    console = Console(stderr=True, highlight=False)
    if done:
        console.print(f"{done} cells have results already; {len(cells)} to go")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("cells", total=len(cells))
        number = 0

        def tell(result: Result) -> None:
            nonlocal number
            number += 1
            if result.outcome is None:
                console.print(
                    f"[yellow]no result[/] {escape(str(result.cell))}: {escape(result.failed)}", soft_wrap=True
                )
            elif not console.is_terminal:
                line = f"{number}/{len(cells)} {result.cell} {result.seconds:.1f} s"
                console.print(line, markup=False, soft_wrap=True)
            bar.update(task, advance=1, description=escape(str(result.cell)))

        yield tell
