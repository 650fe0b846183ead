"""The suite ``layers``: single layers, against the machine's limit and against others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rpc.measurement import measure
from tvm_bnn.benchmark.compiled_layer import compile_layer
from tvm_bnn.benchmark.options import Plan
from tvm_bnn.benchmark.peaks import Peak, best_peak
from tvm_bnn.benchmark.peers.catalog import LAYER_PEERS
from tvm_bnn.benchmark.peers.unavailable import Unavailable
from tvm_bnn.benchmark.records import OURS, Record
from tvm_bnn.benchmark.workloads import SEED, WORKLOADS, Operands, Workload, operands_of

SUITE = "layers"


def run(plan: Plan) -> Iterator[list[Record]]:
    """Measure every workload that is asked for and yield its records.

    Raises
    ------
    UserError
        If compiling fails.
    RuntimeError
        If a compiled layer computes the wrong thing.
    """
    chosen = [workload for workload in WORKLOADS if plan.selects(workload.name)]
    peaks: dict[str, Peak] = {}
    for workload in chosen:
        quantity = "binary" if workload.binary else "float32"
        if quantity not in peaks:
            peaks[quantity] = best_peak(quantity, plan.target.isa.name, plan.toolchain)
        yield measure_layer(workload, plan, peaks[quantity])


def measure_layer(workload: Workload, plan: Plan, peak: Peak) -> list[Record]:
    """Measure one layer, its peak and its peers, taking turns; the layer is checked first."""
    operands = operands_of(workload)
    compiled = compile_layer(workload, operands, plan.target, plan.toolchain, plan.logs)
    limit = peak.work(plan.threads)
    calls: dict[str, Callable[[], object]] = {OURS: compiled.call, peak.system: limit.call}
    peers, skipped = _peers(workload, operands, plan.threads) if plan.peers else ({}, {})
    times = measure({**calls, **peers}, plan.repeats)

    def record(system: str, work: float, **facts: str) -> Record:
        return Record(
            suite=SUITE,
            case=workload.name,
            system=system,
            samples=times.get(system),
            skipped=skipped.get(system, ""),
            work=work,
            unit="MAC",
            threads=plan.threads,
            facts=dict(facts),
            seed=SEED,
        )

    return [
        record(OURS, workload.macs, kernel=compiled.choice, schedule=compiled.schedule, target=plan.target.name),
        record(peak.system, limit.amount),
        *(record(system, workload.macs) for system in (*peers, *skipped)),
    ]


def _peers(
    workload: Workload, operands: Operands, threads: int
) -> tuple[dict[str, Callable[[], object]], dict[str, str]]:
    """Return the calls of those peers that can run the layer, and why the others cannot."""
    calls: dict[str, Callable[[], object]] = {}
    skipped: dict[str, str] = {}
    for name, prepare in LAYER_PEERS.items():
        try:
            calls[name] = prepare(workload, operands, threads)
        except Unavailable as reason:
            skipped[name] = str(reason)
    return calls, skipped
