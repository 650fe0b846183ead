"""Faults of candidates on this machine: each costs its own measurement and nothing else."""

import pytest
import tvm
import tvm_ffi
from tvm import tirx

from schedules import host
from tvm_bnn.tuning import local_runner
from tvm_bnn.tuning.local_runner import LocalRunner

pytestmark = pytest.mark.skipif(host.machine() != "x86_64", reason="the candidates are for x86")


@pytest.fixture
def modules(candidates):
    return [candidate.schedule.mod for candidate in candidates[:3]]


def wrong(module):
    """Return a kernel whose depth is one short."""
    depth = (tirx.IntImm, lambda number: tirx.IntImm(number.ty, 255) if number.value == 256 else number)
    return tvm.IRModule({"main": tvm_ffi.structural_map(module["main"], depth)})


def test_candidates_are_timed(task, target, modules):
    for measured in LocalRunner(target).measure(task, modules):
        assert measured.failure == ""
        assert len(measured.seconds) == 5
        assert all(seconds > 0 for seconds in measured.seconds)


def test_candidates_that_are_right_are_settled_and_wrong_ones_are_found(task, target, modules):
    settled = LocalRunner(target).settle(task, [modules[0], wrong(modules[0]), modules[1]])
    assert [result.exact for result in settled] == [True, False, True]
    assert settled[1].failure == "it computes something else than the layer"
    assert settled[0].seconds > 0
    assert settled[1].seconds == 0


def test_a_candidate_that_hangs_or_crashes_is_a_failure_and_its_neighbours_are_timed(
    task, target, modules, monkeypatch
):
    time_it = local_runner._time

    def troubled(path, task):
        if path.endswith("0.so"):
            while True:
                pass
        if path.endswith("1.so"):
            import ctypes

            ctypes.string_at(0)
        return time_it(path, task)

    monkeypatch.setattr(local_runner, "_time", troubled)
    measured = LocalRunner(target, timeout_s=3).measure(task, modules)
    assert [result.failure for result in measured] == ["no result within 3 s", "crashed: SIGSEGV", ""]
    assert measured[2].seconds


def test_a_candidate_that_cannot_be_compiled_is_a_failure(task, target, modules):
    function = modules[0]["main"]
    broken = tvm.IRModule({"main": function.with_body(tirx.Evaluate(tirx.call_extern("int32", "no_such_function")))})
    measured = LocalRunner(target).measure(task, [broken, modules[1]])
    assert measured[0].failure
    assert measured[1].failure == ""
