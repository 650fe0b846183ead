"""What the tables of all suites are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from rpc.measuring.measurement import Samples
from tvm_bnn.bench.records import OURS, PEAK, Record
from tvm_bnn.bench.spread import indistinct, is_noisy
from tvm_bnn.command_line.texts import rate_text, short_time_text, spread_text

MISSING = "-"


def new_table(left: Sequence[str], right: Sequence[str]) -> Table:
    """Return an empty table of text columns, then number columns."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in left:
        table.add_column(heading, no_wrap=True)
    for heading in right:
        # A heading of two words takes two lines: its column is narrow.
        table.add_column("\n".join(heading.rsplit(" ", 1)), justify="right", no_wrap=True)
    return table


def time_cell(record: Record) -> str:
    """Return a record's median time with its spread."""
    return MISSING if record.samples is None else spread_text(record.samples)


def rate_cell(record: Record) -> str:
    """Return a record's work a second."""
    unit = {"byte": "B"}.get(record.unit, record.unit)
    return MISSING if record.rate is None else rate_text(record.rate, unit)


def share_cell(record: Record, peak: Record | None) -> str:
    """Return which share of a peak of the same run a record's kernel reaches; the peak knows no Python either."""
    if record.kernel_rate is None or peak is None or not peak.rate:
        return MISSING
    return f"{record.kernel_rate / peak.rate:.0%}"


def ratio_cell(ours: Samples | None, other: Record | None) -> str:
    """Return a peer's time and how many times ours that is; ``~`` where the two cannot be told apart."""
    if other is None or other.samples is None:
        return MISSING
    if ours is None:
        return short_time_text(other.samples.median_ns)
    mark = "~" if indistinct(ours, other.samples) else ""
    return f"{short_time_text(other.samples.median_ns)} {mark}{other.samples.median_ns / ours.median_ns:.3g}x"


def cases(records: Sequence[Record]) -> Iterator[dict[str, Record]]:
    """Yield the records of each case as a whole, by system, in the order in which they came."""
    found: dict[str, dict[str, Record]] = {}
    for record in records:
        if not record.part:
            found.setdefault(record.case, {})[record.system] = record
    yield from found.values()


def peers_of(records: Sequence[Record]) -> list[str]:
    """Return the systems that are neither ours nor a peak, in order."""
    others = (record.system for record in records if not record.part and record.system != OURS)
    return list(dict.fromkeys(system for system in others if not system.startswith(PEAK)))


def peak_of(systems: dict[str, Record], quantity: str) -> Record | None:
    """Return the peak of a quantity among the records of one case."""
    prefix = f"{PEAK} {quantity}"
    return next((record for system, record in systems.items() if system.startswith(prefix)), None)


def peak_rates(systems: dict[str, Record], quantities: Sequence[str]) -> dict[str, float]:
    """Return the peaks of one case in GMAC/s, as far as they were measured."""
    peaks = {quantity: peak_of(systems, quantity) for quantity in quantities}
    return {quantity: peak.rate for quantity, peak in peaks.items() if peak is not None and peak.rate is not None}


def warnings(records: Sequence[Record]) -> list[str]:
    """Return a line for each case with results that their spread makes doubtful, and one for each lost comparison."""
    found = []
    for case in dict.fromkeys(record.case for record in records):
        spreads = [(record, record.samples) for record in records if record.case == case and record.samples]
        noisy = [
            f"{record.part or record.system} {samples.mad_ns / samples.median_ns:.0%}"
            for record, samples in spreads
            if is_noisy(samples)
        ]
        if noisy:
            found.append(f"{case}: not quiet enough, measure again: ± {', '.join(noisy)}")
    for systems in cases(records):
        ours = systems.get(OURS)
        for system, record in systems.items():
            if record is ours or ours is None or ours.samples is None or record.samples is None:
                continue
            if not system.startswith(PEAK) and indistinct(ours.samples, record.samples):
                found.append(f"{record.case}: the spread swallows the difference between {OURS} and {system}")
    return found


def print_notes(records: Sequence[Record], console: Console) -> None:
    """Print what was skipped, once for each reason, and the warnings."""
    skipped: dict[tuple[str, str], list[str]] = {}
    for record in records:
        if record.skipped:
            skipped.setdefault((record.system, record.skipped), []).append(record.case)
    for (system, reason), where in skipped.items():
        console.print(f"skipped {system}, {len(where)} of its cases: {reason}", markup=False, soft_wrap=True)
    for line in warnings(records):
        console.print(f"[yellow]warning[/] {line}", soft_wrap=True)
