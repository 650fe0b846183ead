"""The protocol on a device: does it fit, are its answers right, then times, in turns, with what the board tells."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from rpc.formats.artifact_facts import Artifact, read_artifact
from rpc.measuring import reference_samples
from rpc.measuring.conditions import Conditions, conditions, cool_down, doubts, power_sensor
from rpc.measuring.measurement import Samples, interleave
from rpc.measuring.records import DeviceRecord, Energy, LayerTime
from rpc.measuring.reference_samples import Agreement, ReferenceSamples
from rpc.sessions.compatibility import refuse_misfit
from rpc.sessions.libbnn_session import LibbnnBoard
from rpc.sessions.session import Board, DeviceLostError, LoadedModel
from rpc.tracking import tracker_client
from rpc.tracking.tracker_client import Address, Grant
from schedules.errors import UserError

#: Runs whose mean is a layer's time.
PROFILE_RUNS = 50
ENERGY_SECONDS = 2.0
#: Devices tried, where one is lost.
ATTEMPTS = 3


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is measured, and how.

    Parameters
    ----------
    repeats
        Samples of each artifact; 0 for right answers alone.
    threads
        That kernels may use.
    profile
        Also time each layer.
    session_seconds, wait_seconds
        How long the device is ours at most, and how long to wait for it.
    cooldown_seconds
        How long to wait at most, before each round, for a board that is hot.
    secret
        Of the lab: tracker and device have to know it, too. Empty to speak to any.
    """

    repeats: int = 50
    threads: int = 1
    profile: bool = False
    session_seconds: float = 600.0
    wait_seconds: float = 60.0
    cooldown_seconds: float = 60.0
    secret: bytes = b""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An artifact with the samples that it is verified on; None not to verify it."""

    artifact: Artifact
    samples: ReferenceSamples | None


@dataclasses.dataclass
class _Loaded:
    candidate: Candidate
    model: LoadedModel
    agreement: Agreement | None
    peak_memory_bytes: int | None


def candidate(path: Path, samples: Path | None = None, verify: bool = True) -> Candidate:
    """Read an artifact and the samples that lie beside it, or elsewhere.

    Raises
    ------
    UserError
        If one of them cannot be read.
    """
    artifact = read_artifact(path)
    return Candidate(artifact, reference_samples.read(samples or reference_samples.beside(path)) if verify else None)


def measure_on_device(
    tracker: Address,
    key: str,
    candidates: Sequence[Candidate],
    plan: Plan,
    tell: Callable[[str], None] = lambda _line: None,
) -> list[DeviceRecord]:
    """Measure artifacts on one device, in turns; if the device is lost, on another one of that key.

    Parameters
    ----------
    tracker, key
        Who hands out which devices.
    candidates
        Artifacts.
    plan
        How.
    tell
        Receives a line now and then.

    Returns
    -------
    A record for each artifact.

    Raises
    ------
    UserError
        If there is no such device, an artifact does not fit it or answers wrongly, or every device tried is lost.
    """
    for line in tracker_client.summary(tracker, plan.secret).skipped:
        tell(line)
    attempt = 1
    while True:
        grant = tracker_client.request(tracker, key, plan.wait_seconds, secret=plan.secret)
        tell(f"device '{key}' at {grant.address}")
        try:
            with open_board(grant, plan.session_seconds, plan.secret) as board:
                return _measure(board, str(grant.address), candidates, plan)
        except DeviceLostError as error:
            left = [device for device in tracker_client.summary(tracker, plan.secret).devices if device.key == key]
            if attempt == ATTEMPTS or not left:
                there = "no other device has that key" if not left else f"so were {ATTEMPTS - 1} before"
                raise UserError(f"{error}; {there}") from None
            tell(f"{error}; trying the next one")
            attempt += 1


def open_board(grant: Grant, seconds: float, secret: bytes = b"") -> Board:
    """Return an open session on a device, through TVM or without.

    Raises
    ------
    UserError
        If the device turns us away.
    """
    return (LibbnnBoard if grant.facts.bnn_format else Board)(grant, seconds, secret)


def _measure(board: Board, server: str, candidates: Sequence[Candidate], plan: Plan) -> list[DeviceRecord]:
    for item in candidates:
        refuse_misfit(item.artifact, board.facts)
    board.set_threads(plan.threads)
    loaded = [_load(board, item, f"model{index}.so") for index, item in enumerate(candidates)]
    before = conditions(board)
    cooled: list[float] = []
    times: dict[str, Samples] = {}
    if plan.repeats:
        timers = {str(index): one.model.time for index, one in enumerate(loaded)}
        times = interleave(timers, plan.repeats, lambda: cooled.append(cool_down(board, plan.cooldown_seconds)))
    after = conditions(board)
    return [
        DeviceRecord(
            artifact=one.candidate.artifact.path.name,
            artifact_sha256=one.candidate.artifact.facts.library_sha256,
            model=one.candidate.artifact.facts.model,
            target=one.candidate.artifact.facts.target,
            batch=one.candidate.artifact.facts.inputs[0].shape[0],
            key=board.key,
            server=server,
            board=board.facts,
            threads=plan.threads,
            agreement=one.agreement,
            samples=times.get(str(index)),
            before=before,
            after=after,
            cooled_s=sum(cooled),
            doubts=_doubts(board, before, after) if plan.repeats else (),
            layers=_profile(board, one.candidate, f"profiled{index}.so") if plan.profile else (),
            peak_memory_bytes=None if board.facts.emulated else one.peak_memory_bytes,
            energy=_energy(board, one.model) if plan.repeats else None,
            unverified=one.candidate.artifact.facts.unverified,
        )
        for index, one in enumerate(loaded)
    ]


def _load(board: Board, item: Candidate, name: str) -> _Loaded:
    """Load a model and hold its answers against the reference, before anything is timed."""
    found: list[tuple[LoadedModel, Agreement | None]] = []

    def load_and_run() -> None:
        model = board.load(name, item.artifact.library)
        found.append((model, _agreement(model, item)))

    peak = board.peak_memory(load_and_run)
    ((model, agreement),) = found
    return _Loaded(item, model, agreement, peak)


def _agreement(model: LoadedModel, item: Candidate) -> Agreement | None:
    if item.samples is None:
        # Some input is needed to run it at all.
        model.run(reference_samples.zero_inputs(item.artifact))
        return None
    batches = reference_samples.batches(item.samples, item.artifact)
    outputs = [model.run(batch) for batch in batches]
    model.set_inputs(batches[0])
    return reference_samples.compare(outputs, item.samples, item.artifact)


def _doubts(board: Board, before: Conditions, after: Conditions) -> tuple[str, ...]:
    ours = [] if board.is_ours else ["TVM's own server timed it, by a clock that may be set meanwhile"]
    return (*doubts(before, after), *ours)


def _profile(board: Board, item: Candidate, name: str) -> tuple[LayerTime, ...]:
    """Return the time of each kernel call; the artifact's manifest says whose it is."""
    if not board.is_ours:
        raise UserError(f"device '{board.key}': TVM's own server cannot profile; start ours with 'python -m rpc serve'")
    model = board.load(name, item.artifact.library, profiled=True)
    inputs = None if item.samples is None else reference_samples.batches(item.samples, item.artifact)[0]
    model.run(inputs if inputs is not None else reference_samples.zero_inputs(item.artifact))
    rows, kernels = model.profile(PROFILE_RUNS), item.artifact.facts.kernels
    if [function for function, _ in rows] != [kernel.function for kernel in kernels]:
        ran, named = ", ".join(function for function, _ in rows), ", ".join(kernel.function for kernel in kernels)
        raise UserError(f"artifact '{item.artifact.path.name}': the device runs {ran}; the manifest names {named}")
    pairs = zip(rows, kernels, strict=True)
    return tuple(LayerTime(kernel.layer, f"{kernel.function} ({kernel.choice})", ns) for (_, ns), kernel in pairs)


def _energy(board: Board, model: LoadedModel) -> Energy | None:
    sensor = None if board.facts.emulated else power_sensor(board)
    if sensor is None:
        return None
    calls, ns, microwatts = model.sense(ENERGY_SECONDS, sensor)
    watts = microwatts / 1e6
    return Energy(watts * ns / 1e9 / calls * 1e3, watts, sensor)
