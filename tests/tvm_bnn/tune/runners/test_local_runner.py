"""Faults of candidates on this machine: each costs its own measurement and nothing else."""

import dataclasses

import pytest
import tvm
from tvm import tirx

from schedules.machines import host
from schedules.tuned.trace_key import key_of
from schedules.tuned.tuning_log import best, verdicts
from tvm_bnn.tune.runners.local_runner import LocalRunner
from tvm_bnn.tune.searching.database import entries
from tvm_bnn.tune.searching.session import tune

pytestmark = pytest.mark.skipif(host.machine() != "x86_64", reason="the candidates are for x86")


@pytest.fixture
def modules(candidates):
    return [candidate.schedule.mod for candidate in candidates[:3]]


def test_candidates_are_timed(task, target, modules):
    for measured in LocalRunner(target).measure(task, modules):
        assert measured.failure == ""
        assert len(measured.seconds) == 5
        assert all(seconds > 0 for seconds in measured.seconds)


def test_candidates_that_are_right_are_settled_and_wrong_ones_are_found(task, target, modules, wrong):
    settled = LocalRunner(target).settle(task, [modules[0], wrong(modules[0]), modules[1]])
    assert [result.exact for result in settled] == [True, False, True]
    assert settled[1].failure == "it computes something else than the layer"
    assert settled[0].seconds > 0
    assert settled[1].seconds == 0


def test_a_candidate_that_hangs_or_crashes_is_a_failure_and_its_neighbours_are_timed(
    task, target, modules, hanging, crashing
):
    candidates = [hanging(modules[0]), crashing(modules[1]), modules[2]]
    measured = LocalRunner(target, timeout_s=20).measure(task, candidates)
    assert [result.failure for result in measured] == ["no result within 20 s", "crashed: SIGSEGV", ""]
    assert measured[2].seconds


def test_a_candidate_that_hangs_or_crashes_when_it_is_checked_is_not_settled(task, target, modules, hanging, crashing):
    candidates = [hanging(modules[0]), crashing(modules[1]), modules[2]]
    settled = LocalRunner(target, timeout_s=20).settle(task, candidates)
    assert [result.failure for result in settled] == ["no result within 20 s", "crashed: SIGSEGV", ""]
    assert [result.exact for result in settled] == [False, False, True]


@dataclasses.dataclass(frozen=True)
class Miscompiling(LocalRunner):
    """Builds one of the candidates wrong: it does nothing, and is always the fastest."""

    victim: str = ""
    spoiled: object = None

    def measure(self, task, modules):
        measured = super().measure(task, self._spoil(modules))
        return [
            dataclasses.replace(each, seconds=tuple(taken / 1000 for taken in each.seconds))
            if module.script() == self.victim
            else each
            for each, module in zip(measured, modules, strict=True)
        ]

    def settle(self, task, modules):
        return super().settle(task, self._spoil(modules))

    def _spoil(self, modules):
        return [self.spoiled if module.script() == self.victim else module for module in modules]


def test_the_fastest_candidate_is_not_the_best_if_it_computes_something_else(task, target, plan, modules, calling):
    runner = Miscompiling(target, victim=modules[1].script(), spoiled=calling(modules[1], "getpid"))
    heard = []
    plan = dataclasses.replace(plan, trials=3)
    (verdict,) = tune([task], runner, plan, {}, lambda _round: None, heard.append)
    logged = entries(plan.folder, pytest.fail)
    fastest = min(logged, key=lambda entry: entry.mean_s)
    assert verdict.exact
    assert key_of(verdict.trace) != fastest.key
    assert [key_of(each.trace) for each in verdicts(plan.folder, pytest.fail) if not each.exact] == [fastest.key]
    assert "is wrong and will not be used" in heard[0]
    assert best(verdicts(plan.folder, pytest.fail))[task.workload] == verdict


def test_a_candidate_that_cannot_be_compiled_is_a_failure(task, target, modules):
    function = modules[0]["main"]
    broken = tvm.IRModule({"main": function.with_body(tirx.Evaluate(tirx.call_extern("int32", "no_such_function")))})
    measured = LocalRunner(target).measure(task, [broken, modules[1]])
    assert measured[0].failure
    assert measured[1].failure == ""
