"""The suite ``networks``: whole networks, compiled, against their float twins and themselves in other frameworks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rpc.measuring.measurement import measure
from schedules.errors import UserError
from tvm_bnn.artifacts.runtime import load
from tvm_bnn.bench.limits.peaks import Peak, best_peak, fastest
from tvm_bnn.bench.networks.catalog import NETWORKS, SEED, Network
from tvm_bnn.bench.options import Plan
from tvm_bnn.bench.peers.catalog import BINARY_PEERS, NARROW_BINARY_PEERS, NARROW_TWIN_PEERS, TWIN_PEERS
from tvm_bnn.bench.peers.unavailable import Unavailable
from tvm_bnn.bench.records import OURS, Record
from tvm_bnn.bench.suites.memory import memory_facts
from tvm_bnn.bench.suites.waterfall import waterfall
from tvm_bnn.command_line.console import stage
from tvm_bnn.compile.compiler import Compiled, compile_model
from tvm_bnn.compile.float_layers import dot_for
from tvm_bnn.compile.kernel_times import roofline
from tvm_bnn.compile.reporting.compilation_report import Report
from tvm_bnn.verifying.parity import Parity
from tvm_bnn.verifying.samples import Samples as Inputs

SUITE = "networks"
#: Random images that the compiled network is verified on.
_VERIFIED = 4


def run(plan: Plan) -> Iterator[list[Record]]:
    """Measure every network that is asked for and yield its records.

    Raises
    ------
    UserError
        If compiling fails, or a compiled network disagrees with PyTorch. With narrow float layers, such a network is
        skipped.
    RuntimeError
        If a layer that should be binary is not: the rest would be a wrong measurement.
    """
    # Asked first: a target that cannot is no network's fault.
    dot_for(plan.float_layers, plan.target)
    chosen = [network for network in NETWORKS if plan.selects(network.name)]
    peaks = _peaks(plan) if chosen else []
    for network in chosen:
        try:
            yield measure_network(network, plan, peaks)
        except UserError as error:
            if plan.float_layers == "fp32":
                raise
            # Random weights: a rounding that flips signs may scatter all that comes after.
            yield [_record(network, plan, OURS, skipped=str(error))]


def measure_network(network: Network, plan: Plan, peaks: list[Peak]) -> list[Record]:
    """Verify and measure one network, its peers and the peaks, taking turns; then each of its kernels."""
    module, twin, example = network.build(), network.build(binary=False), network.example()
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as name:
        folder = Path(name)
        compiled = _compiled(network, module, plan, folder)
        call = load(compiled.path).bind([example.numpy()])
        facts = {**_facts(compiled.report), **memory_facts(compiled.path, twin, example.numpy(), folder)}
    peers, skipped = _peers(module, twin, example, plan) if plan.peers else ({}, {})
    limits = {peak.system: peak.work(plan.threads) for peak in peaks}
    with stage(f"measuring {network.name} and {len(peers)} peers"):
        times = measure({OURS: call, **{peak: work.call for peak, work in limits.items()}, **peers}, plan.repeats)
    with stage("measuring its kernels"):
        steps = waterfall(module, example, plan)

    def record(system: str, work: float) -> Record:
        reason, known = skipped.get(system, ""), facts if system == OURS else {}
        return _record(network, plan, system, samples=times.get(system), skipped=reason, work=work, facts=known)

    return [
        record(OURS, compiled.report.macs),
        *(record(peak, work.amount) for peak, work in limits.items()),
        *(record(system, compiled.report.macs) for system in (*peers, *skipped)),
        *(_record(network, plan, OURS, **row) for row in roofline.kernel_rows(steps, compiled.report.layers)),
    ]


def _record(network: Network, plan: Plan, system: str, **fields: Any) -> Record:
    return Record(suite=SUITE, case=network.name, system=system, unit="MAC", threads=plan.threads, seed=SEED, **fields)


def _peaks(plan: Plan) -> list[Peak]:
    """Return what bounds the layers: of narrow float layers, too, if there is a loop for them."""
    found = [
        best_peak(quantity, plan.target.isa.name, plan.toolchain) for quantity in (roofline.BINARY, roofline.FLOAT)
    ]
    narrow = fastest(roofline.OF_PRECISION[plan.float_layers], "", plan.toolchain)
    return found if narrow is None else [*found, narrow]


def _compiled(network: Network, module: nn.Module, plan: Plan, folder: Path) -> Compiled:
    inputs = Inputs((network.example(_VERIFIED, SEED + 1).numpy(),), f"random, seed {SEED + 1}")
    compiled = compile_model(
        module,
        (network.example(),),
        target=plan.target,
        output=folder / "network.so",
        samples=inputs,
        float_layers=plan.float_layers,
        log=plan.log,
        toolchain=plan.toolchain,
    )
    found = sum(layer.binary for layer in compiled.report.layers)
    if found != network.binary_layers:
        raise RuntimeError(f"network '{network.name}': {found} layers are binary, not {network.binary_layers}")
    return compiled


def _facts(report: Report) -> dict[str, str | int | float]:
    parity = report.parity
    return {
        "target": report.target,
        "layers": len(report.layers),
        "binary_layers": sum(layer.binary for layer in report.layers),
        "binary_macs": report.binary_macs,
        "float_macs": report.macs - report.binary_macs,
        "float_bytes": report.float_bytes,
        "artifact_bytes": report.artifact_bytes,
        "float_layers": report.float_layers,
        "parity": report.not_verified if parity is None else _parity_text(parity),
        "yardstick": "" if parity is None or parity.yardstick_agreeing is None else f"{parity.yardstick_agreeing}",
    }


def _parity_text(parity: Parity) -> str:
    if not parity.exact:
        return f"L2 error {parity.relative_error:.2g}"
    return f"{parity.right} of {parity.samples}"


def _peers(
    module: nn.Module, twin: nn.Module, example: torch.Tensor, plan: Plan
) -> tuple[dict[str, Callable[[], object]], dict[str, str]]:
    """Return the calls of those peers that can run the networks, and why the others cannot."""
    calls: dict[str, Callable[[], object]] = {}
    skipped: dict[str, str] = {}
    narrow = plan.float_layers != "fp32"
    twins = NARROW_TWIN_PEERS if narrow else TWIN_PEERS
    binaries = NARROW_BINARY_PEERS if narrow else BINARY_PEERS
    wanted = [(f"{name} twin", twin, prepare) for name, prepare in twins.items()]
    wanted += [(f"{name} binary", module, prepare) for name, prepare in binaries.items()]
    for name, network, prepare in wanted:
        try:
            with stage(f"preparing {name}"):
                calls[name] = prepare(network, example, plan.threads)
        except Unavailable as reason:
            skipped[name] = str(reason)
    return calls, skipped
