"""How long a compiled model takes, beside the framework that it comes from."""

from __future__ import annotations

import msgspec

from rpc.measuring.measurement import Samples


class Latency(msgspec.Struct, frozen=True):
    """One call on this machine, compiled and in float in ``framework``, one thread each, measured in turns."""

    cpu: str
    threads: int
    batch: int
    compiled: Samples
    framework: str
    reference: Samples

    @property
    def speedup(self) -> float:
        """The reference's median time over the compiled model's."""
        return self.reference.median_ns / self.compiled.median_ns
