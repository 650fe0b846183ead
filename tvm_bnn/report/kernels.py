"""What the page's figures are of: kernel calls with their times, and the machine's peaks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tvm_bnn.bench.records import OURS, PEAK, Record
from tvm_bnn.compile.kernel_times.roofline import QUANTITIES
from tvm_bnn.compile.reporting.compilation_report import Report

_MICRO = "micro"


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel call: a name for people, its median time, and what it does in it.

    ``bound`` names the peak that its products are bound by, empty where it multiplies nothing; ``touched_bytes`` is 0
    where it is not known.
    """

    name: str
    choice: str
    median_ns: float
    macs: float
    bound: str
    touched_bytes: int


@dataclasses.dataclass(frozen=True)
class Network:
    """Kernel calls of one network, in order."""

    name: str
    kernels: tuple[Kernel, ...]


@dataclasses.dataclass(frozen=True)
class Peaks:
    """What the machine can do at most: GMAC/s by quantity, GB/s by level of memory."""

    arithmetic: dict[str, float]
    bandwidth: dict[str, float]


def networks(report: Report, records: Sequence[Record]) -> list[Network]:
    """Return the report's own model, if it was profiled, and every network of the records."""
    own = [
        Kernel(
            time.use.layer or time.use.function,
            time.use.choice,
            time.samples.median_ns,
            time.macs,
            time.bound,
            time.touched_bytes,
        )
        for time in report.kernel_times
    ]
    found = {report.model: own} if own else {}
    for record in records:
        if record.part and record.samples is not None and record.system == OURS:
            found.setdefault(record.case, []).append(_kernel(record, record.samples.median_ns))
    return [Network(name, tuple(kernels)) for name, kernels in found.items()]


def _kernel(record: Record, median_ns: float) -> Kernel:
    facts = record.facts
    name = record.part.split(": ", maxsplit=1)[-1]
    touched = int(facts.get("bytes", 0))
    return Kernel(name, str(facts.get("kernel", "")), median_ns, record.work, str(facts.get("bound", "")), touched)


def peaks(records: Sequence[Record]) -> Peaks:
    """Return the best of each peak among the records."""
    arithmetic: dict[str, float] = {}
    bandwidth: dict[str, float] = {}
    for record in records:
        if record.rate is None:
            continue
        if record.suite == _MICRO and record.unit == "byte":
            level = record.case.removeprefix("read ")
            bandwidth[level] = max(bandwidth.get(level, 0.0), record.rate)
        for quantity in QUANTITIES:
            is_peak = record.suite == _MICRO and record.case == quantity
            if is_peak or record.system.startswith(f"{PEAK} {quantity}"):
                arithmetic[quantity] = max(arithmetic.get(quantity, 0.0), record.rate)
    return Peaks(arithmetic, bandwidth)
