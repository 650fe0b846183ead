"""``python -m rpc devices``."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rpc.tracking.exposure import LOOPBACK
from rpc.tracking.tracker_protocol import DEFAULT_PORT
from schedules.files.json_output import print_json


@dataclasses.dataclass(frozen=True)
class Options:
    """List a tracker's devices: free or busy, what they are, and how many clients wait."""

    tracker: str = f"{LOOPBACK}:{DEFAULT_PORT}"
    """The tracker, HOST:PORT."""
    secret: Annotated[Path | None, tyro.conf.arg(name="secret-file")] = None
    """File with the lab's secret; by default this user's own, which trackers and servers of this user make."""
    no_secret: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Ask a tracker that serves everybody, or TVM's own."""
    format: Literal["table", "json"] = "table"
    """How to print them."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    options = tyro.cli(Options, args=arguments, prog="python -m rpc devices")
    from rpc.tracking.lab_secret import secret_of
    from rpc.tracking.tracker_client import parse_address, summary

    found = summary(parse_address(options.tracker), secret_of(options.secret, options.no_secret))
    for line in found.skipped:
        print(f"warning: {line}", file=sys.stderr)
    if options.format == "json":
        print_json(found)
    else:
        from rpc.measuring.device_tables import print_devices

        print_devices(found)
