"""Results that nobody measured: tables and files are tested with times that are known."""

import msgspec
import pytest

from rpc.measuring.measurement import Samples
from schedules.tuned.tuning_log import VERDICTS, Verdict, folder_of
from tvm_bnn.bench.machine import Machine
from tvm_bnn.bench.records import Record


@pytest.fixture
def record():
    """Make a record of given times in µs."""

    def make(case="3x3", system="tvm_bnn", us=(100.0, 101.0, 99.0), work=100_000_000.0, **fields):
        samples = None if us is None else Samples(tuple(1000.0 * time for time in us), 20)
        return Record(
            **{"suite": "layers", "unit": "MAC", **fields},
            case=case,
            system=system,
            samples=samples,
            work=work,
            date="2026-11-21T00:00:00+00:00",
            machine=Machine("CPU", "x86_64", ("avx2",), 2, "6.1", "glibc 2.36", "", "x86_64-linux-gnu.2.28"),
            versions={"tvm_bnn": "0"},
        )

    return make


@pytest.fixture
def printed():
    """Return what a table function prints of records."""
    from rich.console import Console

    def show(function, records):
        console = Console(width=200, highlight=False, force_terminal=False, record=True, quiet=False)
        with console.capture() as captured:
            function(records, console)
        return captured.get()

    return show


@pytest.fixture
def log_of(tmp_path):
    """Return a function that makes a log in which each layer has the last schedule of its space."""
    import tvm

    from schedules.tuned.space import generate
    from schedules.tuned.trace import to_json

    def verdict(task, target):
        drawn = generate(tvm.s_tir.Schedule(task.module, debug_mask="none"), task.isa)[-1]
        known = {name: getattr(task, name) for name in ("workload", "signature", "version", "macs")}
        made = {"trials": 1, "kind": "measured", "target": target.name, "device": "made up", "threads": 1}
        times = {"exact": True, "seconds": 1e-6, "default_seconds": 2e-6}
        return Verdict(trace=to_json(drawn), tvm="", date="", **known, **made, **times)

    def make(tasks, target):
        folder = folder_of(tmp_path / "log", target)
        folder.mkdir(parents=True)
        lines = [msgspec.json.encode(verdict(task, target)) + b"\n" for task in tasks]
        (folder / VERDICTS).write_bytes(b"".join(lines))
        return tmp_path / "log"

    return make
