"""``python -m rpc COMMAND``: the device lab."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from schedules.defects import defect
from schedules.errors import UserError

COMMANDS = {
    "tracker": "keep the list of devices and hand them out",
    "serve": "offer this machine as a device",
    "devices": "list a tracker's devices: free or busy, and what they are",
    "measure": "verify and time artifacts on a device",
    "emulate": "offer emulated boards as devices",
    "board-image": "make a folder to copy to a board: server, libraries, start script, systemd unit",
    "tunnel": "connect a board to the lab through SSH",
}


def main(words: list[str]) -> int:
    """Hand the arguments to the command named first and return its exit code."""
    match words:
        case [name, *arguments] if name in COMMANDS:
            return _run(name, arguments)
        case ["-h" | "--help"]:
            print(_usage())
            return 0
    print(_usage(), file=sys.stderr)
    return 2


def _run(name: str, arguments: list[str]) -> int:
    command = importlib.import_module(f"rpc.commands.{name.replace('-', '_')}")
    try:
        command.main(arguments)
    except Exception as error:
        if "--debug" in arguments:
            raise
        known = error if isinstance(error, UserError) else defect(error, f"rpc {name}", Path("rpc.error.txt"))
        print(f"error: {known}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _usage() -> str:
    lines = [f"  {name:12} {summary}" for name, summary in COMMANDS.items()]
    heading = "usage: python -m rpc COMMAND [options]"
    return "\n".join([heading, "", *lines, "", "python -m rpc COMMAND --help shows a command's options"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
