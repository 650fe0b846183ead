"""What networks are measured on: this machine, and every device that a tracker offers.

A device of a tracker is measured by ``python -m rpc measure``, which prints one JSON line for a measurement; this file
is all that knows of its form.
"""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from rpc.measurement import Samples
from schedules import host
from schedules.errors import UserError

NATIVE = "this machine"


@dataclasses.dataclass(frozen=True)
class Device:
    """Something to measure on.

    Parameters
    ----------
    name
        As results call it; a tracker's key, or :data:`NATIVE`.
    target
        What to compile for.
    tracker
        ``HOST:PORT``; empty for this machine.
    """

    name: str
    target: str
    tracker: str = ""


class _Offered(msgspec.Struct):
    """A line of ``python -m rpc devices --format json``."""

    key: str
    target: str


class _Measured(msgspec.Struct):
    """What we need of a line of ``python -m rpc measure --format json``."""

    samples: Samples
    device: dict[str, str | int | float | bool | None] = {}


_T = TypeVar("_T", _Offered, _Measured)


def devices(tracker: str) -> list[Device]:
    """Return this machine, and what the tracker offers now.

    Raises
    ------
    UserError
        If the tracker cannot be asked.
    """
    here = [Device(NATIVE, "native")]
    return here if not tracker else here + list(_offered(tracker))


@functools.cache
def _offered(tracker: str) -> tuple[Device, ...]:
    lines = _rpc(["devices", "--tracker", tracker, "--format", "json"])
    found = [_decoded(line, _Offered) for line in lines]
    return tuple(Device(offer.key, offer.target, tracker) for offer in found)


def measure_on(device: Device, artifact: Path, inputs: Path, repeats: int) -> tuple[Samples, str]:
    """Measure an artifact on a tracker's device.

    Parameters
    ----------
    device
        Of a tracker.
    artifact
        Compiled for it.
    inputs
        An ``.npz`` file with one array for each input.
    repeats
        Samples to take.

    Returns
    -------
    The samples, and what the device says it is.

    Raises
    ------
    UserError
        If the device is lost, or the artifact does not run there.
    """
    options = ["--tracker", device.tracker, "--device", device.name, "--inputs", str(inputs)]
    lines = _rpc(["measure", str(artifact), *options, "--repeats", str(repeats), "--format", "json"])
    measured = _decoded(lines[-1], _Measured)
    return measured.samples, str(measured.device.get("model", device.name))


def _rpc(arguments: Sequence[str]) -> list[str]:
    """Return the lines that ``python -m rpc`` prints."""
    finished = subprocess.run([sys.executable, "-m", "rpc", *arguments], capture_output=True, text=True, check=False)
    lines = finished.stdout.splitlines()
    if finished.returncode or not lines:
        said = (finished.stderr.strip().splitlines() or ["it said nothing"])[-1].removeprefix("error: ")
        raise UserError(f"rpc {arguments[0]}: {said}")
    return lines


def _decoded(line: str, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.MsgspecError as error:
        raise UserError(f"rpc: its answer cannot be read ({error})") from None


def this_cpu() -> str:
    """Return the name of this machine's processor."""
    return host.cpu_model()
