"""Which schedule a layer gets: the best of the user's log, else of the package's, else the default."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tvm
from tvm import s_tir

from schedules.choice import Choice, schedule_function
from schedules.files.line_file import Warn
from schedules.machines.isa import Isa
from schedules.machines.target import Target
from schedules.templates.tile import Tile
from schedules.tuned.proof import prove
from schedules.tuned.space import kernel_version
from schedules.tuned.trace import replay
from schedules.tuned.trace_key import register_tile
from schedules.tuned.tuning_log import SHIPPED, Verdict, best, folder_of, verdicts
from schedules.tuned.workload import layer_of, normalized, signature, workload_hash

DEFAULT = "default"


@dataclasses.dataclass(frozen=True)
class Tuned:
    """The best of one folder of a log.

    Parameters
    ----------
    origin
        What reports call a schedule from it: ``log``, ``shipped``, and whether it was only estimated.
    place
        The folder.
    by_workload
        Exact verdicts.
    """

    origin: str
    place: Path
    by_workload: dict[str, Verdict]


def tuned_for(target: Target, log: Path | None, warn: Warn) -> list[Tuned]:
    """Return what there is for a target, best first: what was measured before what was estimated."""
    found = []
    for name, place in (("log", log), ("shipped", SHIPPED)):
        if place is None:
            continue
        for origin, folder in (
            (name, folder_of(place, target)),
            (f"{name}, estimated", folder_of(place, target, "estimated")),
        ):
            records = best(verdicts(folder, warn))
            if records:
                found.append(Tuned(origin, folder, records))
    return found


def schedule_tuned(
    function: tvm.tirx.PrimFunc, isa: Isa, logs: Sequence[Tuned], warn: Warn
) -> tuple[tvm.tirx.PrimFunc, Choice, str]:
    """Return a lowered layer scheduled, what was chosen for it, and where that came from."""
    if logs and layer_of(function, isa) is not None:
        plain = normalized(function)
        key, version = workload_hash(plain), kernel_version(plain, isa)
        for log in logs:
            verdict = log.by_workload.get(key)
            if verdict is None:
                _refuse_older(log, signature(plain, isa), version, warn)
            elif verdict.version != version:
                warn(_older(log, verdict, version))
            else:
                try:
                    return *_replayed(function, isa, verdict), log.origin
                except ValueError as error:
                    warn(f"log '{log.place}': the record for {verdict.signature}: {error}; not used, tune it again")
    return *schedule_function(function, isa), DEFAULT


def _replayed(function: tvm.tirx.PrimFunc, isa: Isa, verdict: Verdict) -> tuple[tvm.tirx.PrimFunc, Choice]:
    prove(function, isa, verdict.trace)
    schedule = replay(function, verdict.trace)
    pixels, vectors = register_tile(verdict.trace)
    layer = layer_of(function, isa)
    lanes = layer.tile.lanes if layer is not None else 1
    return _function_of(schedule), Choice(verdict.signature.split("/", 1)[0], isa.name, Tile(pixels, vectors, lanes))


def _function_of(schedule: s_tir.Schedule) -> tvm.tirx.PrimFunc:
    return schedule.mod["main"]


def _refuse_older(log: Tuned, layer: str, version: str, warn: Warn) -> None:
    """Say so if the log has this layer, but of another meaning: its times are no longer this kernel's."""
    for verdict in log.by_workload.values():
        if verdict.signature == layer and verdict.version != version:
            warn(_older(log, verdict, version))
            return


def _older(log: Tuned, verdict: Verdict, version: str) -> str:
    return (
        f"log '{log.place}': the record for {verdict.signature} was made for version {verdict.version} of the kernel,"
        f" which is {version} now; not used, tune it again"
    )
