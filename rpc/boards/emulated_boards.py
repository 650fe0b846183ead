"""Boards under QEMU's user emulation, each with the server that a real one runs."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from rpc.boards import emulation
from rpc.boards.board_server import PROGRAM, board_server
from rpc.tracking.tracker_client import Address
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.target import Target, find_target

_PREFIX = "emulated-"


def emulated_key(board: str) -> str:
    """Return the key that an emulated board has: never that of a real one."""
    return _PREFIX + board


def is_emulated(key: str) -> bool:
    """Tell whether a key is that of an emulated board, whose times say nothing."""
    return key.startswith(_PREFIX)


def server_command(board: str, tracker: Address, secret: Path | None = None, options: Sequence[str] = ()) -> list[str]:
    """Return the command that runs an emulated board's server.

    Parameters
    ----------
    board
        A target's name.
    tracker
        To register with.
    secret
        File with the secret that it asks for.
    options
        More of the server's options.

    Raises
    ------
    UserError
        If the board cannot be emulated here.
    """
    target = find_target(board)
    _refuse_what_is_no_foreign_board(target)
    cpu = target.emulated_cpu
    program = board_server(target.machine) / PROGRAM
    words = {"--key": emulated_key(board), "--tracker": str(tracker), "--emulated": str(cpu)}
    if secret is not None:
        words["--secret-file"] = str(secret)
    return [
        *emulation.emulator(target.machine, cpu),
        str(program),
        *(w for pair in words.items() for w in pair),
        *options,
    ]


def _refuse_what_is_no_foreign_board(target: Target) -> None:
    if target.machine == host.machine():
        raise UserError(f"board '{target.name}': this machine is a {target.machine} itself; use 'python -m rpc serve'")
    missing = emulation.no_emulator(target.machine)
    if missing is not None:
        raise UserError(f"board '{target.name}': {missing}")


@contextlib.contextmanager
def emulated_boards(
    boards: Sequence[str], tracker: Address, secret: Path | None = None, options: Sequence[str] = ()
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run the servers of emulated boards, and end them with the block.

    Raises
    ------
    UserError
        If one of them cannot be emulated here; then none is.
    """
    commands = [server_command(board, tracker, secret, options) for board in boards]
    if not commands:
        raise UserError("no board to emulate; --board rpi4 is one")
    processes = [subprocess.Popen(command) for command in commands]
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
