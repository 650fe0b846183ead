"""The hardware-inference track: latency of compiled networks, measured, against their float twins."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch
from torch import nn

from experiments.binarizers.catalog import FLOAT
from experiments.metrics.overall import om_infer
from experiments.tracks.artifacts import compiled
from experiments.tracks.devices import NATIVE, Device, devices, measure_on, this_cpu
from experiments.tracks.networks import Network, trained
from experiments.tracks.plan import Plan
from experiments.tracks.result import Cell, Outcome, Result
from experiments.tracks.track import Overall
from experiments.training.evaluation import test_inputs
from experiments.training.objectives import objective
from rpc.measuring.measurement import Samples, measure
from tvm_bnn.artifacts.runtime import load
from tvm_bnn.bench.peers import onnx_runtime, open_vino, torch_eager
from tvm_bnn.bench.peers.unavailable import Unavailable

NAME = "hardware"
COMPILED, TWIN = "compiled", "float twin"
_ENGINES = {"PyTorch": torch_eager.network, "ONNX Runtime": onnx_runtime.network, "OpenVINO": open_vino.network}


def cells(plan: Plan) -> list[Cell]:
    """Return architectures × devices × methods; full precision is measured beside each of them, in turns."""
    return [
        Cell(NAME, workload.data, architecture, algorithm, device.name)
        for workload in plan.workloads
        for architecture, device in itertools.product(workload.architectures, devices(plan.tracker))
        for algorithm in plan.algorithms
    ]


def compute(plan: Plan, cell: Cell) -> Outcome:
    """Compile for the device, verify where it can be executed, and measure."""
    device = next(device for device in devices(plan.tracker) if device.name == cell.variant)
    network = trained(plan, cell)
    artifact = compiled(Path(plan.folder), network, device.target)
    report = artifact.report
    facts: dict[str, str | int | float] = {
        "target": report.target,
        "isa": report.isa,
        "binary_macs": report.binary_macs,
        "macs": report.macs,
        "artifact_bytes": report.artifact_bytes,
        "constant_bytes": sum(layer.bytes_after for layer in report.layers),
        "parity": report.not_verified if report.parity is None else f"{report.parity.right} of {report.parity.samples}",
    }
    here = device.name == NATIVE
    samples, said = _natively(plan, cell, network, artifact.path) if here else _remotely(device, plan, artifact.path)
    values = {"score": network.score, "float_bytes": float(_bytes(_twin(plan, cell).model))}
    values["artifact_bytes"] = float(report.artifact_bytes)
    # Times under an emulator mean nothing: they are no result.
    if COMPILED in samples:
        values["latency_ns"] = samples[COMPILED].median_ns
    twins = {name: taken for name, taken in samples.items() if name.startswith(TWIN)}
    if twins:
        best = min(twins, key=lambda name: twins[name].median_ns)
        values["float_latency_ns"] = twins[best].median_ns
        facts["float_engine"] = best.removeprefix(f"{TWIN}, ")
    return Outcome(values, samples, {**facts, **said})


def _natively(plan: Plan, cell: Cell, network: Network, path: Path) -> tuple[dict[str, Samples], dict[str, str]]:
    """Measure the artifact and the float twin in every engine that is installed, taking turns."""
    inputs = [x[:1].numpy() for x in test_inputs(network.job, 1)[0]]
    calls: dict[str, Callable[[], object]] = {COMPILED: load(path, 1).bind(inputs)}
    twins, missing = _twin_calls(plan, msgspec.structs.replace(cell, algorithm=FLOAT.name))
    said = {"device": this_cpu()} | ({"not compared": missing} if missing else {})
    return measure({**calls, **twins}, plan.repeats), said


def _remotely(device: Device, plan: Plan, path: Path) -> tuple[dict[str, Samples], dict[str, str]]:
    """Verify and measure the artifact on a tracker's device; there is no float engine there to compare with."""
    found = measure_on(device, path, plan.repeats)
    said = {"device": found.board.model or device.name}
    if found.doubts:
        said["doubts"] = "; ".join(found.doubts)
    if found.board.emulated or found.samples is None:
        return {}, {**said, "not measured": f"an emulator plays {found.board.emulated}"}
    return {COMPILED: found.samples}, said


def _twin(plan: Plan, cell: Cell) -> Network:
    return trained(plan, msgspec.structs.replace(cell, algorithm=FLOAT.name))


def _twin_calls(plan: Plan, cell: Cell) -> tuple[dict[str, Callable[[], object]], str]:
    """Return calls of the float twin by engine, and a line about the engines that are left out."""
    return _prepared(msgspec.json.encode(plan), cell)


@functools.lru_cache(maxsize=1)
def _prepared(encoded: bytes, cell: Cell) -> tuple[dict[str, Callable[[], object]], str]:
    """Prepare engines, which takes seconds; those of the last architecture are kept, its cells come in a row."""
    network = trained(msgspec.json.decode(encoded, type=Plan), cell)
    example = tuple(x[:1] for x in test_inputs(network.job, 1)[0])
    calls: dict[str, Callable[[], object]] = {}
    missing = [] if len(example) == 1 else ["engines take networks of one input only"]
    for engine, prepare in _ENGINES.items() if len(example) == 1 else ():
        try:
            calls[f"{TWIN}, {engine}"] = prepare(_OneOutput(network.model).eval(), example[0], 1)
        except Unavailable as reason:
            missing.append(f"{engine}: {reason}")
    return calls, "; ".join(missing)


class _OneOutput(nn.Module):
    """All outputs of a network in one: OpenVINO's calls and its converter want no more."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = objective.outputs_of(self.network(x))
        return outputs[0] if len(outputs) == 1 else torch.cat([output.flatten(1) for output in outputs], 1)


def _bytes(model: nn.Module) -> int:
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())


def overall(results: Sequence[Result], algorithm: str) -> Overall:
    """Return OM_infer over architectures and devices; devices without a float engine count by size only."""
    outcomes = [r.outcome for r in results if r.outcome is not None and r.cell.algorithm == algorithm]
    sizes = [(o.values["float_bytes"], o.values["artifact_bytes"]) for o in outcomes]
    times = [(o.values["float_latency_ns"], o.values["latency_ns"]) for o in outcomes if "float_latency_ns" in o.values]
    failed = sum(r.outcome is None for r in results if r.cell.algorithm == algorithm)
    note = f"{failed} networks have no result" if failed else ""
    return Overall(om_infer(times, sizes), note) if times else Overall(None, note or "no results")
