"""``python -m rpc emulate``."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path
from typing import Annotated

import tyro

from rpc.tracking.exposure import LOOPBACK
from rpc.tracking.tracker_protocol import DEFAULT_PORT


@dataclasses.dataclass(frozen=True)
class Options:
    """Offer emulated boards as devices, until interrupted: right answers, and times that say nothing."""

    board: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    """A board to emulate, by its name as a target (rpi2, rpi4, rpi5, …); once for each. Its key is emulated-<board>."""
    tracker: str = f"{LOOPBACK}:{DEFAULT_PORT}"
    """The tracker to register with, HOST:PORT."""
    secret: Annotated[Path | None, tyro.conf.arg(name="secret-file")] = None
    """File with the lab's secret; by default this user's own, which is made when there is none."""
    no_secret: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Serve whoever comes: all users of this machine can run code as this one."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    options = tyro.cli(Options, args=arguments, prog="python -m rpc emulate")
    from rpc.boards.emulated_boards import emulated_boards
    from rpc.tracking.lab_secret import secret_file
    from rpc.tracking.tracker_client import parse_address

    file = secret_file(options.secret, options.no_secret, make=True)
    # The servers are to go with this process, however it is asked to end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with emulated_boards(options.board, parse_address(options.tracker), file) as processes:
        for process in processes:
            process.wait()
