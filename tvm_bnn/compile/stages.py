"""The stages of a compilation, shown as they come, and how long each takes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tvm_bnn.command_line import console
from tvm_bnn.compile.reporting.compilation_report import Stage


@dataclasses.dataclass
class Clock:
    """Shows the stages as they come and keeps their times."""

    stages: list[Stage] = dataclasses.field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show a stage while the block runs; keep its time if the block ends well."""
        start = time.perf_counter()
        with console.stage(name):
            yield
        self.stages.append(Stage(name, time.perf_counter() - start))
