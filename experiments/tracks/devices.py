"""What networks are measured on: this machine, and every device that a tracker offers.

The lab of devices is asked through its commands, ``python -m rpc devices`` and ``python -m rpc measure``; this file is
all that knows of the records that they write.
"""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from rpc.measuring.measurement import Samples
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.target import TARGETS

NATIVE = "this machine"


@dataclasses.dataclass(frozen=True)
class Device:
    """Something to measure on.

    Parameters
    ----------
    name
        As results call it: the key that a tracker knows it by, or :data:`NATIVE`.
    target
        What to compile for.
    tracker
        ``HOST:PORT``; empty for this machine.
    """

    name: str
    target: str
    tracker: str = ""


class Board(msgspec.Struct, frozen=True):
    """What a record says of the board: its name, and if it is played by an emulator, which processor."""

    machine: str = ""
    model: str = ""
    emulated: str = ""


class Measured(msgspec.Struct, frozen=True):
    """What we need of a record of a measurement; ``doubts`` speak against its times."""

    samples: Samples | None
    board: Board
    doubts: tuple[str, ...] = ()


class _Offered(msgspec.Struct):
    key: str
    facts: Board


class _Summary(msgspec.Struct):
    devices: tuple[_Offered, ...]


_T = TypeVar("_T", _Summary, Measured)


def devices(tracker: str) -> list[Device]:
    """Return this machine, and what the tracker offers.

    Raises
    ------
    UserError
        If the tracker cannot be asked, or nothing can be compiled for one of its devices.
    """
    here = [Device(NATIVE, "native")]
    return here if not tracker else here + list(_offered(tracker))


@functools.cache
def _offered(tracker: str) -> tuple[Device, ...]:
    found = decoded(_rpc(["devices", "--tracker", tracker, "--format", "json"]), _Summary)
    boards = {offer.key: offer.facts for offer in found.devices}
    return tuple(Device(key, target_for(key, board), tracker) for key, board in boards.items())


def target_for(key: str, board: Board) -> str:
    """Return what to compile for a device: the target that its key names, else what suits its machine.

    Raises
    ------
    UserError
        If there is no such target.
    """
    if any(target.name == key for target in TARGETS):
        return key
    if board.machine == host.machine():
        return "native"
    fitting = [target.name for target in TARGETS if target.machine == board.machine]
    if not fitting:
        raise UserError(f"device '{key}': there is no target for its machine, '{board.machine}'; name its key by one")
    return board.machine if board.machine in fitting else fitting[0]


def measure_on(device: Device, artifact: Path, repeats: int) -> Measured:
    """Verify an artifact on a tracker's device, on the samples that the compiler left beside it, and measure it there.

    Raises
    ------
    UserError
        If the device is lost, or the artifact does not run there or answers wrongly.
    """
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.jsonl"
        where = ["--key", device.name, "--tracker", device.tracker]
        _rpc(["measure", str(artifact), *where, "--repeats", str(repeats), "--record", str(record)])
        return decoded(record.read_bytes().splitlines()[-1], Measured)


def _rpc(arguments: Sequence[str]) -> bytes:
    """Return what ``python -m rpc`` prints."""
    finished = subprocess.run([sys.executable, "-m", "rpc", *arguments], capture_output=True, check=False)
    if finished.returncode:
        said = (finished.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"rpc {arguments[0]}: {said.removeprefix('error: ')}")
    return finished.stdout


def decoded(line: bytes, kind: type[_T]) -> _T:
    """Return a record.

    Raises
    ------
    UserError
        If it is none.
    """
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.MsgspecError as error:
        raise UserError(f"rpc: its record cannot be read ({error})") from None


def this_cpu() -> str:
    """Return the name of this machine's processor."""
    return host.cpu_model()
