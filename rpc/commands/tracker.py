"""``python -m rpc tracker``."""

from __future__ import annotations

import dataclasses
import importlib.util

import tyro

from rpc.tracking.exposure import LOOPBACK, warn_if_exposed
from rpc.tracking.tracker_protocol import DEFAULT_PORT
from schedules.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """Keep the list of devices and hand them out, until interrupted."""

    host: str = LOOPBACK
    """Address to listen on; by default only this machine reaches it."""
    port: int = DEFAULT_PORT
    """Port to listen on; 0 for any."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    options = tyro.cli(Options, args=arguments, prog="python -m rpc tracker")
    if importlib.util.find_spec("tornado") is None:
        raise UserError("tracker: the package 'tornado' is not installed; pip install 'tvm-bnn[rpc]'")
    from rpc.tracking.tracker import run_tracker

    warn_if_exposed("tracker", options.host, "whoever reaches it can take devices and offer false ones")
    run_tracker(options.host, options.port)
