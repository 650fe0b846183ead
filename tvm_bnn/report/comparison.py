"""Benchmarked layers and networks as rows: our time, the share of the machine's peak, and everybody else's time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tvm_bnn.bench.records import OURS, Record
from tvm_bnn.bench.tables.columns import (
    MISSING,
    cases,
    peak_of,
    peak_rates,
    peers_of,
    ratio_cell,
    share_cell,
    time_cell,
)
from tvm_bnn.compile.kernel_times.roofline import QUANTITIES, limit_ns

_COMPARED = ("layers", "networks")


@dataclasses.dataclass(frozen=True)
class Row:
    """One case: its suite and name, our time with its spread, the share of its limit, and a cell for each peer."""

    suite: str
    case: str
    time: str
    share: str
    peers: tuple[str, ...]


def comparison(records: Sequence[Record]) -> tuple[list[str], list[Row]]:
    """Return the peers, and a row for each case that we were measured on."""
    compared = [record for record in records if record.suite in _COMPARED and record.kind == "measurement"]
    peers = peers_of(compared)
    rows = []
    for systems in cases(compared):
        ours = systems.get(OURS)
        if ours is None or ours.samples is None:
            continue
        cells = tuple(ratio_cell(ours.samples, systems.get(peer)) for peer in peers)
        rows.append(Row(ours.suite, ours.case, time_cell(ours), _share(ours, systems), cells))
    return peers, rows


def _share(ours: Record, systems: dict[str, Record]) -> str:
    """Return which share of its limit a case reaches: of the peak, or of a network's products at their peaks."""
    if ours.suite == "layers":
        return share_cell(ours, peak_of(systems, "binary") or peak_of(systems, "float32"))
    limit = limit_ns(ours.facts, peak_rates(systems, QUANTITIES))
    return MISSING if limit is None or ours.samples is None else f"{limit / ours.samples.median_ns:.0%}"
