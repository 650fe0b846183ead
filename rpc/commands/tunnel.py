"""``python -m rpc tunnel``."""

from __future__ import annotations

import dataclasses
import os
import shutil
from typing import Annotated

import tyro

from rpc.tracking.exposure import LOOPBACK, SERVER_PORT
from rpc.tracking.tracker_protocol import DEFAULT_PORT
from schedules.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """Connect a board to the lab through SSH, until interrupted; nothing listens beyond the loopback of either.

    The board finds the tracker at its own 127.0.0.1:9190, and clients find the board's
    server at the same port here as there.
    """

    login: Annotated[str, tyro.conf.Positional]
    """USER@BOARD, as ssh takes it."""
    tracker: str = f"{LOOPBACK}:{DEFAULT_PORT}"
    """The tracker as this machine sees it."""
    port: int = SERVER_PORT
    """Of the board's server; another one for each board."""
    start: bool = False
    """Start the server there, too: ~/tvm_bnn/start.sh, where 'board-image' was copied to."""


def main(arguments: list[str]) -> None:
    """Run the command; ssh takes the process over."""
    options = tyro.cli(Options, args=arguments, prog="python -m rpc tunnel")
    command = ssh_command(options)
    if shutil.which(command[0]) is None:
        raise UserError("tunnel: there is no ssh here; install openssh-client")
    os.execvp(command[0], command)


def ssh_command(options: Options) -> list[str]:
    """Return the command that makes the tunnel.

    Raises
    ------
    UserError
        If the tracker's address is none, or the login would be taken for an option.
    """
    from rpc.tracking.tracker_client import parse_address

    tracker = parse_address(options.tracker)
    if options.login.startswith("-"):
        raise UserError(f"login '{options.login}'; expected USER@BOARD")
    there = [f"~/tvm_bnn/start.sh --port {options.port}"] if options.start else []
    # With a terminal there, even without one here: the server would outlive the connection, and keep its port.
    return [
        "ssh",
        *(["-tt"] if options.start else ["-N"]),
        *("-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15"),
        *("-R", f"{LOOPBACK}:{DEFAULT_PORT}:{tracker}"),
        *("-L", f"{LOOPBACK}:{options.port}:{LOOPBACK}:{options.port}"),
        options.login,
        *there,
    ]
