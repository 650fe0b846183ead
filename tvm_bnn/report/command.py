"""``python -m tvm_bnn.report``: make one HTML page of a compilation's report and benchmark results.

What a report consists of can be imported from here as well.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import msgspec
import tyro

from schedules.errors import UserError
from tvm_bnn.command_line.command import finish
from tvm_bnn.command_line.packages import require
from tvm_bnn.compile.reporting.compilation_report import KernelTime, LayerRow, Report, Stage
from tvm_bnn.verifying.latency import Latency

__all__ = ["KernelTime", "Latency", "LayerRow", "Options", "Report", "Stage", "main", "read_report"]


@dataclasses.dataclass(frozen=True)
class Options:
    """Show what a compilation did, layer by layer, in one HTML file that needs nothing else: sizes, times, roofline."""

    report: Annotated[Path, tyro.conf.Positional]
    """What tvm_bnn.compile wrote beside the artifact: MODEL.report.json."""
    records: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """What tvm_bnn.bench --record wrote: the machine's limits (micro) and other networks (networks); and what
    rpc measure --record wrote of devices."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Page to write; by default beside the report, as .html."""
    debug: bool = False
    """Show the traceback of an error."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, args=arguments, prog="tvm_bnn.report")
    return finish(lambda: _write(options), options.debug)


def _write(options: Options) -> int:
    """Write the page and print its path."""
    require("report", "tvm-bnn[report]", "jinja2", "matplotlib")
    from rpc.measuring.records import DeviceRecord, is_of_devices
    from schedules.files import record_file
    from schedules.files.whole_file import write_atomically
    from tvm_bnn.bench.records import Record
    from tvm_bnn.report.page import page

    report = read_report(options.report)
    measured = [path for path in options.records if is_of_devices(path)]
    benchmarked = [path for path in options.records if path not in measured]
    output = options.output or options.report.with_suffix(".html")
    text = page(
        report,
        [record for path in benchmarked for record in record_file.read(path, Record)],
        [record for path in measured for record in record_file.read(path, DeviceRecord)],
    )
    write_atomically(output, text.encode())
    print(output)
    return 0


def read_report(path: Path) -> Report:
    """Return the report in a file.

    Raises
    ------
    UserError
        If it cannot be read, or is no report.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise UserError(f"report '{path}': cannot be read ({error.strerror})") from None
    except msgspec.MsgspecError as error:
        raise UserError(f"report '{path}' is no report of tvm_bnn.compile: {error}") from None
