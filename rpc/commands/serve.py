"""``python -m rpc serve``."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Annotated

import tyro

from rpc.tracking.exposure import LOOPBACK, SERVER_PORT, warn_if_exposed
from rpc.tracking.tracker_protocol import DEFAULT_PORT


@dataclasses.dataclass(frozen=True)
class Options:
    """Offer this machine as a device, until interrupted. The server is the one that boards without Python run."""

    key: str
    """What clients ask for, for example rpi4; several devices may have the same."""
    tracker: str = f"{LOOPBACK}:{DEFAULT_PORT}"
    """The tracker to register with, HOST:PORT."""
    host: str = LOOPBACK
    """Address to listen on; by default only this machine reaches it."""
    port: int = SERVER_PORT
    """Port to listen on; 0 for any."""
    address: str = ""
    """Address that clients shall connect to; by default the one that the tracker sees."""
    secret: Annotated[Path | None, tyro.conf.arg(name="secret-file")] = None
    """File with the lab's secret; by default this user's own, which is made when there is none."""
    no_secret: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Serve whoever comes, TVM's own clients too: all users of this machine can run code as this one."""
    session_seconds: float = 600.0
    """A session ends after that, at the latest."""
    upload_mib: int = 256
    """A session's files take no more."""


def main(arguments: list[str]) -> None:
    """Run the command; the server takes the process over."""
    options = tyro.cli(Options, args=arguments, prog="python -m rpc serve")
    from rpc.boards.board_server import PROGRAM, board_server
    from rpc.tracking.lab_secret import secret_file
    from rpc.tracking.tracker_client import parse_address
    from schedules.machines import host

    file = secret_file(options.secret, options.no_secret, make=True)
    meaning = "whoever reaches it and knows its secret runs code here" if file else "TVM's RPC runs what it is sent"
    warn_if_exposed("server", options.host, meaning)
    program = board_server(host.machine()) / PROGRAM
    os.execv(program, [str(program), *server_options(options, str(parse_address(options.tracker)), file)])


def server_options(options: Options, tracker: str, secret: Path | None) -> list[str]:
    """Return the options in the server's own words."""
    words = {
        "key": options.key,
        "tracker": tracker,
        "host": options.host,
        "port": options.port,
        "address": options.address,
        "session-seconds": options.session_seconds,
        "upload-bytes": options.upload_mib << 20,
    }
    if secret is not None:
        words["secret-file"] = str(secret)
    return [word for name, value in words.items() for word in (f"--{name}", str(value))]
