"""The suite ``micro``: the limits of this machine, each loop in turn."""

from __future__ import annotations

from collections.abc import Iterator

from rpc.measuring.measurement import measure
from tvm_bnn.bench.limits.bandwidth import readings
from tvm_bnn.bench.limits.peaks import compute_peaks
from tvm_bnn.bench.limits.work import Work
from tvm_bnn.bench.options import Plan
from tvm_bnn.bench.records import Record

SUITE = "micro"


def run(plan: Plan) -> Iterator[list[Record]]:
    """Measure every loop that this processor can execute, taking turns, and yield the results at once.

    Raises
    ------
    UserError
        If the loops cannot be compiled.
    """
    rows: list[tuple[str, str, str, Work]] = [
        (peak.quantity, peak.name, "MAC", peak.work(plan.threads)) for peak in compute_peaks(plan.toolchain)
    ]
    rows += [
        (f"read {reading.level}", f"{reading.loads}, {reading.size >> 10} KiB", "byte", reading.work)
        for reading in readings(plan.threads, plan.toolchain)
    ]
    rows = [row for row in rows if plan.selects(f"{row[0]} {row[1]}")]
    times = measure({f"{case} {system}": work.call for case, system, _, work in rows}, plan.repeats)
    yield [
        Record(
            suite=SUITE,
            case=case,
            system=system,
            samples=times[f"{case} {system}"],
            work=work.amount,
            unit=unit,
            threads=plan.threads,
        )
        for case, system, unit, work in rows
    ]
