"""The stages of a compilation, shown as they come, how long each takes, and what becomes of a defect in one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schedules.defects import defect
from schedules.errors import UserError
from tvm_bnn.command_line import console
from tvm_bnn.command_line.native_stderr import without_warnings_of_tvm
from tvm_bnn.compile.reporting.compilation_report import Stage


@dataclasses.dataclass
class Clock:
    """Shows the stages as they come and keeps their times.

    Parameters
    ----------
    artifact
        Beside which the report of a defect goes.
    stages
        Those that ended well.
    """

    artifact: Path
    stages: list[Stage] = dataclasses.field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show a stage while the block runs; keep its time if the block ends well.

        Raises
        ------
        UserError
            As the block raised it, or for any other exception: one line, and a file with the traceback.
        """
        start = time.perf_counter()
        with self.guarded(name), without_warnings_of_tvm(), console.stage(name):
            yield
        self.stages.append(Stage(name, time.perf_counter() - start))

    @contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """Turn what nobody foresaw in the block into one line that names the stage."""
        try:
            yield
        except UserError:
            raise
        except RecursionError:
            raise UserError(
                f"the model has more operations one behind the other than {name} can follow; split it up"
            ) from None
        except Exception as error:
            raise defect(error, name, self.artifact.with_suffix(".error.txt")) from error
