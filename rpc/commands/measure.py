"""``python -m rpc measure``."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from rpc.tracking.exposure import LOOPBACK
from rpc.tracking.tracker_protocol import DEFAULT_PORT
from schedules.errors import UserError
from schedules.files.json_output import print_json

if TYPE_CHECKING:
    from rpc.measuring.device_measurement import Plan


@dataclasses.dataclass(frozen=True)
class Options:
    """Verify artifacts on a device against the reference, then time them there, in turns."""

    artifacts: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """What the compiler wrote; with several, the others are compared with the first."""
    key: str
    """The device to ask the tracker for."""
    tracker: str = f"{LOOPBACK}:{DEFAULT_PORT}"
    """The tracker, HOST:PORT."""
    repeats: int = 50
    """Samples of each artifact; 0 verifies only."""
    samples: Path | None = None
    """Inputs and expected outputs; by default those that the compiler wrote beside each artifact."""
    verify: bool = True
    """Hold the device's answers against the reference before anything is timed."""
    profile: bool = False
    """Time each layer, too."""
    threads: int = 1
    """Threads that large layers are shared out to."""
    record: Path | None = None
    """File that results are appended to, one JSON line each, with all samples and facts about the device."""
    format: Literal["table", "json"] = "table"
    """How to print the results."""
    secret: Annotated[Path | None, tyro.conf.arg(name="secret-file")] = None
    """File with the lab's secret; by default this user's own, which trackers and servers of this user make."""
    no_secret: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Measure on a device that proves nothing, as TVM's own servers do."""
    wait: float = 60.0
    """Seconds to wait for a free device."""
    session_seconds: float = 600.0
    """The device is ours for so long, at most."""
    cooldown: float = 60.0
    """Seconds to wait at most before each round while the board is hotter than 65 °C."""
    debug: bool = False
    """Show the traceback of an error."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    options = tyro.cli(Options, args=arguments, prog="python -m rpc measure")
    if not options.artifacts or options.repeats < 0 or options.threads < 1:
        raise UserError("measure takes at least one artifact, --repeats from 0 on and --threads from 1 on")
    _measure(options)


def _measure(options: Options) -> None:
    from rpc.measuring.device_measurement import candidate, measure_on_device
    from rpc.measuring.device_tables import print_records
    from rpc.tracking.tracker_client import parse_address
    from schedules.files.record_file import append

    candidates = [candidate(path, options.samples, options.verify) for path in options.artifacts]
    found = measure_on_device(parse_address(options.tracker), options.key, candidates, _plan(options), _say)
    if options.record is not None:
        append(options.record, found)
    if options.format == "json":
        print_json(found)
    else:
        print_records(found)


def _plan(options: Options) -> Plan:
    from rpc.measuring.device_measurement import Plan
    from rpc.tracking.lab_secret import secret_of

    return Plan(
        repeats=options.repeats,
        threads=options.threads,
        profile=options.profile,
        session_seconds=options.session_seconds,
        wait_seconds=options.wait,
        cooldown_seconds=options.cooldown,
        secret=secret_of(options.secret, options.no_secret),
    )


def _say(line: str) -> None:
    print(f"{line} …", file=sys.stderr)
