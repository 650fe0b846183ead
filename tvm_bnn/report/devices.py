"""The page's table of what the device lab measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rpc.measuring.device_tables import energy_text, memory_text, times_text, verified_text
from rpc.measuring.records import DeviceRecord


@dataclasses.dataclass(frozen=True)
class Row:
    """One artifact on one device, as text."""

    device: str
    artifact: str
    verified: str
    latency: str
    percentiles: str
    memory: str
    energy: str
    doubts: tuple[str, ...]


def device_rows(records: Sequence[DeviceRecord]) -> list[Row]:
    """Return a row for each record, in their order."""
    return [_row(record) for record in records]


def _row(record: DeviceRecord) -> Row:
    latency, percentiles = times_text(record)
    return Row(
        f"{record.key}: {record.board.model or 'unknown'}",
        record.artifact,
        verified_text(record),
        latency,
        percentiles,
        memory_text(record),
        energy_text(record),
        record.doubts,
    )
