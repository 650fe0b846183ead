"""Under what conditions a board works: frequencies, temperature, throttling, load, and its own power sensor."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

_CPU = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq"
_TEMPERATURES = "/sys/class/thermal/thermal_zone*/temp"
#: Raspberry Pi's firmware: bits 0-3 tell what is wrong now, bits 16-19 what has been since it started.
_FIRMWARE = "/sys/devices/platform/soc/soc:firmware/get_throttled"
_SENSORS = "/sys/class/hwmon/hwmon*/power[0-9]*_input"
_NOW = 0xF
#: A processor at so much less than before has been slowed down.
_SLOWER = 0.98
#: More than half a core at work for others.
MOST_LOAD = 0.5
COOL_C = 65.0


class SystemFiles(Protocol):
    """Reads a board's ``/proc`` and ``/sys``."""

    def read(self, path: str) -> str:
        """Return a file, or nothing."""

    def find(self, pattern: str) -> list[str]:
        """Return the files that match a pattern."""


class Conditions(msgspec.Struct, frozen=True):
    """At one moment; empty or None where the board does not tell.

    Parameters
    ----------
    governors
        That set the frequency, each once.
    frequencies_khz
        Of every core.
    temperature_c
        Of the hottest zone.
    throttled
        What the firmware says is slowing the processor down now, in its own bits.
    load
        Processes that wanted to run, mean over a minute.
    """

    governors: tuple[str, ...] = ()
    frequencies_khz: tuple[int, ...] = ()
    temperature_c: float | None = None
    throttled: int | None = None
    load: float | None = None


def conditions(board: SystemFiles) -> Conditions:
    """Return what a board tells now."""
    governors = {board.read(path) for path in board.find(f"{_CPU}/scaling_governor")}
    frequencies = [_integer(board.read(path)) for path in board.find(f"{_CPU}/scaling_cur_freq")]
    load = re.match(r"\d{1,9}(\.\d{1,9})?", board.read("/proc/loadavg"))
    return Conditions(
        tuple(sorted(governors - {""})),
        tuple(value for value in frequencies if value is not None),
        temperature(board),
        _hexadecimal(board.read(_FIRMWARE)),
        float(load[0]) if load else None,
    )


def temperature(board: SystemFiles) -> float | None:
    """Return the temperature of the hottest zone in °C; None if the board does not tell."""
    found = [_integer(board.read(path)) for path in board.find(_TEMPERATURES)]
    return max((value / 1000 for value in found if value is not None), default=None)


def power_sensor(board: SystemFiles) -> str | None:
    """Return the file of the board's one power sensor, which holds µW; None if there is none, or several."""
    found = board.find(_SENSORS)
    return found[0] if len(found) == 1 else None


def cool_down(board: SystemFiles, most_seconds: float, sleep: Callable[[float], None] = time.sleep) -> float:
    """Wait until a board is below ``COOL_C``, but not longer than told; return the seconds waited."""
    waited = 0.0
    while waited < most_seconds and (temperature(board) or 0.0) > COOL_C:
        sleep(1.0)
        waited += 1.0
    return waited


def doubts(before: Conditions, after: Conditions) -> list[str]:
    """Return what speaks against a measurement that was taken between two moments, a line each."""
    found = []
    if after.throttled is not None and after.throttled & _NOW:
        found.append(f"the firmware throttles the processor ({after.throttled:#x}): cooling or power supply")
    fastest = [max(moment.frequencies_khz, default=0) for moment in (before, after)]
    if fastest[1] < _SLOWER * fastest[0]:
        found.append(f"the processor slowed from {fastest[0] / 1000:.0f} to {fastest[1] / 1000:.0f} MHz")
    if before.governors and set(before.governors) != {"performance"}:
        found.append(f"the governor is {', '.join(before.governors)}; 'performance' keeps the frequency")
    if before.load is not None and before.load > MOST_LOAD:
        found.append(f"others used the processor (load {before.load:g} before)")
    return found


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else None


def _hexadecimal(text: str) -> int | None:
    return int(text, 16) if re.fullmatch(r"(0x)?[0-9a-fA-F]{1,16}", text) else None
