"""``python -m rpc tracker``."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Annotated

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
    secret: Annotated[Path | None, tyro.conf.arg(name="secret-file")] = None
    """File with the lab's secret; by default this user's own, which is made when there is none."""
    no_secret: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Serve everybody, TVM's own tools too: all users of this machine can take devices and offer false ones."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    options = tyro.cli(Options, args=arguments, prog="python -m rpc tracker")
    if importlib.util.find_spec("tornado") is None:
        raise UserError("tracker: the package 'tornado' is not installed; pip install 'tvm-bnn[rpc]'")
    from rpc.tracking.lab_secret import secret_file
    from rpc.tracking.shared_secret import read_secret
    from rpc.tracking.tracker import run_tracker

    file = secret_file(options.secret, options.no_secret, make=True)
    who = "whoever reaches it and knows the secret" if file else "whoever reaches it"
    warn_if_exposed("tracker", options.host, f"{who} can take devices and offer false ones")
    run_tracker(options.host, options.port, read_secret(file))
