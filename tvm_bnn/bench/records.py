"""Results: one JSON line each, complete enough to repeat the measurement.

:mod:`schedules.files.record_file` appends and reads them.
"""

from __future__ import annotations

import datetime
from typing import Literal

import msgspec

from rpc.measuring.measurement import Samples
from tvm_bnn.bench.machine import Machine, this_machine, versions

#: Raised when results cease to be comparable with older ones.
PROTOCOL = 1
#: How records call what this project compiled, and how they call the machine's own limits.
OURS = "tvm_bnn"
PEAK = "peak"
#: The fact that says what a call of a layer from Python takes by itself, in ns.
CALL_NS = "call_ns"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One result, or why there is none.

    Parameters
    ----------
    suite
        ``micro``, ``layers`` or ``networks``.
    case
        What was run: a loop, a layer, a network.
    system
        Who ran it: ``tvm_bnn``, a peer, or ``peak …``, the machine's own limit.
    kind
        ``measurement``, or ``estimate``: counted under emulation or modelled, without a time, and never to be mixed
        with the former.
    part
        A kernel inside the case; empty for the whole.
    samples
        All times; None if it was not measured, and ``skipped`` says why.
    work, unit
        What one call does, in ``MAC`` or ``byte``; 0 where no such number makes sense.
    threads
        That it was allowed to use.
    facts
        What else is worth knowing: tile, sizes in bytes, memory, parity.
    seed
        Of all random numbers.
    date
        UTC, ISO 8601.
    """

    suite: str
    case: str
    system: str
    kind: Literal["measurement", "estimate"] = "measurement"
    part: str = ""
    samples: Samples | None = None
    skipped: str = ""
    work: float = 0.0
    unit: str = ""
    threads: int = 1
    facts: dict[str, str | int | float] = {}
    seed: int = 0
    protocol: int = PROTOCOL
    date: str = msgspec.field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    machine: Machine = msgspec.field(default_factory=this_machine)
    versions: dict[str, str] = msgspec.field(default_factory=versions)

    @property
    def rate(self) -> float | None:
        """Work a second by the median time, in G; None if it was not measured or counts nothing."""
        return self.work / self.samples.median_ns if self.samples is not None and self.work else None

    @property
    def kernel_rate(self) -> float | None:
        """The same without what the call from Python takes, as far as that is known."""
        if self.samples is None or not self.work:
            return None
        return self.work / (self.samples.median_ns - float(self.facts.get(CALL_NS, 0)))
