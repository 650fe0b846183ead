"""The suite ``layers``: single layers, against the machine's limit and against others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rpc.measuring.measurement import measure
from schedules.kernels.window import Window
from tvm_bnn.bench.limits.peaks import Peak, best_peak
from tvm_bnn.bench.options import Plan
from tvm_bnn.bench.peers.catalog import LAYER_PEERS
from tvm_bnn.bench.peers.unavailable import Unavailable
from tvm_bnn.bench.records import CALL_NS, OURS, Record
from tvm_bnn.bench.suites.compiled_layer import compile_layer
from tvm_bnn.bench.workloads import SEED, WORKLOADS, Operands, Workload, operands_of

SUITE = "layers"
#: A layer that does next to nothing: what remains is the call.
_NOTHING = Workload("nothing", 1, 1, 32, 32, Window((1, 1)))
_CALL = "a call of nothing"


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
    nothing = call_of_nothing(plan)
    for workload in chosen:
        quantity = "binary" if workload.binary else "float32"
        if quantity not in peaks:
            peaks[quantity] = best_peak(quantity, plan.target.isa.name, plan.toolchain)
        yield measure_layer(workload, plan, peaks[quantity], nothing)


def call_of_nothing(plan: Plan) -> Callable[[], object]:
    """Return the call of a layer that does next to nothing, once for all layers that it is measured with."""
    return compile_layer(_NOTHING, operands_of(_NOTHING), plan.target, plan.toolchain).call


def measure_layer(workload: Workload, plan: Plan, peak: Peak, nothing: Callable[[], object]) -> list[Record]:
    """Measure one layer, a call of nothing, the peak and the peers, taking turns; the layer is checked first."""
    operands = operands_of(workload)
    compiled = compile_layer(workload, operands, plan.target, plan.toolchain, plan.logs)
    limit = peak.work(plan.threads)
    calls: dict[str, Callable[[], object]] = {OURS: compiled.call, _CALL: nothing, peak.system: limit.call}
    peers, skipped = _peers(workload, operands, plan.threads) if plan.peers else ({}, {})
    times = measure({**calls, **peers}, plan.repeats)

    def record(system: str, work: float, **facts: str | float) -> Record:
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

    facts: dict[str, str | float] = {"kernel": compiled.choice, "schedule": compiled.schedule}
    facts |= {"target": plan.target.name, CALL_NS: times[_CALL].median_ns}
    return [
        record(OURS, workload.macs, **facts),
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
