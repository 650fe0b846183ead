"""A folder to copy to a board, which then needs neither Python nor a compiler."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from rpc.boards.board_server import PROGRAM, board_server
from rpc.tracking.shared_secret import read_secret
from rpc.tracking.tracker_client import Address
from schedules.errors import UserError
from schedules.machines.target import find_target

START = "start.sh"
UNIT = "tvm-bnn-board.service"
SECRET = "secret"

_START = """\
#!/bin/sh
# Offer this board to the tracker; options given here are added.
cd "$(dirname "$0")" || exit 1
exec ./{program} --key {key} --tracker {tracker} --port {port} {secret}"$@"
"""

# What a session runs can do what the server can: that should be little.
_UNIT = """\
# Copy the folder to /opt/tvm_bnn, this file to /etc/systemd/system, then: systemctl enable --now {unit}
[Unit]
Description=TVM RPC server for measurements ({key})
After=network.target

[Service]
ExecStart=/opt/tvm_bnn/{start}
{credential}Restart=always
RestartSec=2
DynamicUser=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=yes
NoNewPrivileges=yes
PrivateDevices=yes
RestrictAddressFamilies=AF_INET AF_INET6
CapabilityBoundingSet=
KillMode=control-group

[Install]
WantedBy=multi-user.target
"""


def write_board_image(
    folder: Path, board: str, key: str, tracker: Address, port: int, secret: Path | None = None
) -> int:
    """Write the folder and return its size in bytes.

    Parameters
    ----------
    folder
        New, or empty.
    board
        A target's name.
    key
        What clients ask for.
    tracker
        As the board sees it.
    port
        Where the server listens, on the board's loopback.
    secret
        File with the lab's secret, which goes with the image, readable by its owner alone; None for none.

    Raises
    ------
    UserError
        If the folder holds something, or there is no runtime for the board.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"output '{folder}' is there already and not an empty folder; name another")
    server = board_server(find_target(board).machine)
    folder.mkdir(parents=True, exist_ok=True)
    for file in server.iterdir():
        shutil.copy(file, folder / file.name)
    if secret is not None:
        content = read_secret(secret)
        (folder / SECRET).touch(mode=0o600)
        (folder / SECRET).write_bytes(content + b"\n")
    words = {"key": shlex.quote(key), "tracker": shlex.quote(str(tracker)), "port": port}
    # A service with a user of its own gets it from systemd.
    asked = f'--secret-file "${{CREDENTIALS_DIRECTORY:-.}}/{SECRET}" ' if secret is not None else ""
    credential = f"LoadCredential={SECRET}:/opt/tvm_bnn/{SECRET}\n" if secret is not None else ""
    start = _START.format(program=PROGRAM, secret=asked, **words)
    (folder / START).write_text(start, encoding="utf-8")
    (folder / START).chmod(0o755)
    (folder / UNIT).write_text(_UNIT.format(unit=UNIT, start=START, key=key, credential=credential), encoding="utf-8")
    return sum(file.stat().st_size for file in folder.iterdir())
