"""``python -m rpc board-image``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from rpc.tracking.exposure import LOOPBACK, SERVER_PORT
from rpc.tracking.tracker_protocol import DEFAULT_PORT


@dataclasses.dataclass(frozen=True)
class Options:
    """Make a folder to copy to a board: server, libraries, start script, systemd unit."""

    board: str
    """What board it is, by its name as a target: rpi4, rk3588, rpi2, …"""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder to write; it must not exist, or be empty."""
    key: str = ""
    """What clients ask for; by default the board's name."""
    tracker: str = f"{LOOPBACK}:{DEFAULT_PORT}"
    """The tracker as the board sees it; the default is the end of the tunnel."""
    port: int = SERVER_PORT
    """Where the board's server listens, on the board's loopback."""
    secret: Annotated[Path | None, tyro.conf.arg(name="secret-file")] = None
    """File with the lab's secret; by default this user's own, which is made when there is none."""
    no_secret: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Leave it out: the board's server then serves whoever reaches it."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    options = tyro.cli(Options, args=arguments, prog="python -m rpc board-image")
    from rpc.boards.board_image import write_board_image
    from rpc.tracking.lab_secret import secret_file
    from rpc.tracking.tracker_client import parse_address

    tracker = parse_address(options.tracker)
    secret = secret_file(options.secret, options.no_secret, make=True)
    size = write_board_image(options.output, options.board, options.key or options.board, tracker, options.port, secret)
    print(f"{options.output}: {size / 1e6:.2f} MB for {options.board}; copy it to the board and run ./start.sh there")
