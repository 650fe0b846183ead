"""Progress of one training: a bar with the time left on a terminal, a line an epoch otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from experiments.training.loop import Watcher


class _Bar:
    """Moves a bar."""

    def __init__(self, bar: Progress, task: TaskID, console: Console, name: str) -> None:
        self.bar, self.task, self.console, self.name = bar, task, console, name
        self.losses: list[float] = []

    def step(self, loss: float) -> None:
        """Take the loss of a step."""
        self.losses.append(loss)
        self.bar.update(self.task, advance=1, description=f"{self.name}, loss {loss:.3f}")

    def epoch(self, epoch: int, seconds: float) -> None:
        """Take the end of an epoch."""
        mean = sum(self.losses) / max(1, len(self.losses))
        self.losses.clear()
        self.console.print(f"{self.name}, epoch {epoch + 1}: loss {mean:.4f}, {seconds:.0f} s", markup=False)


@contextmanager
def watched(name: str, steps: int) -> Iterator[Watcher]:
    """Show a training of so many steps on stderr."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield _Bar(bar, bar.add_task(name, total=steps), console, name)
