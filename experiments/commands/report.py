"""``python -m experiments report``: one HTML page and its Markdown of a run's results."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from schedules.errors import UserError
from tvm_bnn.command_line.command import finish
from tvm_bnn.command_line.packages import require


@dataclasses.dataclass(frozen=True)
class Options:
    """Make one self-contained HTML page, and a Markdown file beside it, of a run's results."""

    folder: Annotated[Path, tyro.conf.Positional] = Path("bibench")
    """The run's folder."""
    settings: str = ""
    """The hash of the settings whose results to show; by default those of the latest result."""
    debug: bool = False
    """Show the traceback of an error."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, args=arguments, prog="experiments report")
    return finish(lambda: _report(options), options.debug)


def _report(options: Options) -> int:
    require("experiments report", "tvm-bnn[experiments]", "jinja2", "matplotlib")
    from experiments.report.pages import pages
    from experiments.tracks.plan import RESULTS
    from experiments.tracks.result import latest, read
    from schedules.files.whole_file import write_atomically

    every = read(options.folder / RESULTS)
    known = list(dict.fromkeys(result.settings for result in every))
    if not known:
        raise UserError(f"results '{options.folder / RESULTS}': there are none; 'python -m experiments run' makes them")
    if options.settings and options.settings not in known:
        raise UserError(f"--settings {options.settings}: no results; there are some of {', '.join(known)}")
    settings = options.settings or every[-1].settings
    page, text = pages(list(latest(every, settings).values()))
    for name, content in (("report.html", page), ("report.md", text)):
        write_atomically(options.folder / name, content.encode())
        sys.stdout.write(f"{options.folder / name}\n")
    others = [name for name in known if name != settings]
    if others:
        print(f"results of other settings are left out: {', '.join(others)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
