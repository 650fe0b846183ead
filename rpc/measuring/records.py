"""Measurements on devices as JSON lines: complete enough to repeat them.

:mod:`schedules.files.record_file` appends and reads them.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec

from rpc.formats.board_facts import BoardFacts
from rpc.measuring.conditions import Conditions
from rpc.measuring.measurement import Samples
from rpc.measuring.reference_samples import Agreement
from schedules.errors import UserError

#: Raised when results cease to be comparable with older ones.
PROTOCOL = 1


class LayerTime(msgspec.Struct, frozen=True):
    """One kernel call of a run: whose layer (empty where none is behind it), which kernel, and its mean time."""

    layer: str
    kernel: str
    ns: float


class Energy(msgspec.Struct, frozen=True):
    """What the board's own sensor says that a call takes, idle power included."""

    millijoules: float
    watts: float
    sensor: str


class DeviceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact on one device.

    Parameters
    ----------
    artifact, artifact_sha256
        The file's name and its library's hash.
    model, target
        From its manifest.
    batch
        Samples in a call.
    key, server
        The device's key and where its server listened.
    board
        Facts. Where ``emulated`` is not empty, the times are an emulator's: of no meaning, and not to be shown.
    threads
        That kernels were allowed to use.
    agreement
        With the reference, found before anything was timed; None if that was not asked for.
    samples
        All times, by the board's clock; None if none were asked for.
    before, after
        Conditions on the board.
    cooled_s
        Seconds that were waited for the board to cool down.
    doubts
        What speaks against the times.
    layers
        The profile; empty if none was asked for.
    peak_memory_bytes
        By which running the model raised what its process had resident; None where unknown.
    energy
        None where the board has no sensor.
    unverified
        In which way the artifact disagrees with its reference on the machine that made it, where that was accepted.
    date
        UTC, by the clock of the machine that asked, not by the board's.
    """

    artifact: str
    artifact_sha256: str
    model: str
    target: str
    batch: int
    key: str
    server: str
    board: BoardFacts
    threads: int
    agreement: Agreement | None
    samples: Samples | None
    before: Conditions
    after: Conditions
    cooled_s: float = 0.0
    doubts: tuple[str, ...] = ()
    layers: tuple[LayerTime, ...] = ()
    peak_memory_bytes: int | None = None
    energy: Energy | None = None
    unverified: str = ""
    protocol: int = PROTOCOL
    date: str = msgspec.field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))


def is_of_devices(path: Path) -> bool:
    """Tell whether a file of results holds these, and not those of another command.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            first = file.readline()
        return "artifact_sha256" in msgspec.json.decode(first, type=dict[str, msgspec.Raw])
    except OSError as error:
        raise UserError(f"record '{path}': cannot be read ({error.strerror})") from None
    except msgspec.MsgspecError:
        return False
