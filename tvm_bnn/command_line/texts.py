"""Sizes, counts, rates and times as people write them: a few significant digits and a unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpc.measuring.measurement import Samples

_KILO = 1000


def bytes_text(count: int) -> str:
    """Return a size with three significant digits and a unit."""
    return _scaled(count, (" B", " kB", " MB", " GB"))


def count_text(count: int) -> str:
    """Return a number with three significant digits and a prefix."""
    return _scaled(count, ("", " k", " M", " G"))


def rate_text(per_second: float, unit: str) -> str:
    """Return ``1210 GMAC/s``: three significant digits, of what is given in G per second."""
    return f"{_three_digits(per_second)} G{unit}/s"


def _scaled(value: float, units: Sequence[str]) -> str:
    scaled = float(value)
    for unit in units[:-1]:
        if abs(scaled) < _KILO:
            return _three_digits(scaled) + unit
        scaled /= _KILO
    return _three_digits(scaled) + units[-1]


def _three_digits(value: float) -> str:
    if value == int(value) and abs(value) < _KILO:
        return str(int(value))
    return f"{value:.3g}" if abs(value) < _KILO else f"{value:.0f}"


def _two_digits(value: float) -> str:
    return f"{value:.2g}" if abs(value) < _KILO / 10 else f"{value:.0f}"


def time_text(samples: Samples) -> str:
    """Return ``6.42 µs ± 0.03 (median of 50)``; the spread is the median absolute deviation."""
    return f"{spread_text(samples)} (median of {len(samples.samples_ns)})"


def spread_text(samples: Samples) -> str:
    """Return ``6.42 µs ± 0.03``, where the heading says the rest."""
    factor, unit = _time_unit(samples.median_ns)
    return f"{_three_digits(samples.median_ns / factor)} {unit} ± {_two_digits(samples.mad_ns / factor)}"


def short_time_text(ns: float) -> str:
    """Return ``6.42 µs``: a time without its spread, where a row has no room for it."""
    factor, unit = _time_unit(ns)
    return f"{_three_digits(ns / factor)} {unit}"


def _time_unit(ns: float) -> tuple[float, str]:
    units = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
    return next((pair for pair in units if ns >= pair[0]), units[-1])
