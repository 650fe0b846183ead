"""What a log keeps, and what a search makes of it."""

import dataclasses
import os
import time

import msgspec
import pytest
import tvm

from schedules.machines.isa import AVX512_VPOPCNTDQ
from schedules.tuned.trace import replay, to_json
from schedules.tuned.trace_key import key_of
from schedules.tuned.tuning_log import RECORDS, VERDICTS, sessions, verdicts
from tvm_bnn.tune.runners.forked import in_children
from tvm_bnn.tune.runners.runner import Measured
from tvm_bnn.tune.searching.database import FAILED_S, commit, entries
from tvm_bnn.tune.searching.metaschedule import ms
from tvm_bnn.tune.searching.search import Search
from tvm_bnn.tune.searching.session import tune


@pytest.fixture
def task(make_task):
    """A layer with a space of some hundred schedules, none of which is ever run."""
    return make_task(48, 384, isa=AVX512_VPOPCNTDQ)


VERSIONS = {"apache-tvm": tvm.__version__}


def unheard(_):
    """Nothing is watched."""


def fail(message):
    raise AssertionError(message)


def test_the_default_is_measured_first_and_the_best_is_settled(task, plan, pretended):
    runner = pretended()
    (verdict,) = tune([task], runner, plan, VERSIONS, unheard, fail)
    logged = entries(plan.folder, fail)
    default = Search(task, tvm.target.Target(plan.target.tvm)).default
    assert logged[0].key == default.key
    assert verdict.seconds == min(entry.mean_s for entry in logged)
    assert verdict.default_seconds == logged[0].mean_s
    assert (verdict.workload, verdict.version, verdict.kind) == (task.workload, task.version, "measured")
    assert verdicts(plan.folder, fail) == [verdict]
    assert [session.device for session in sessions(plan.folder, fail)] == ["made up"]


def test_nothing_is_measured_twice_when_a_run_is_continued(task, plan, pretended):
    first, second = pretended(), pretended()
    tune([task], first, plan, VERSIONS, unheard, fail)
    longer = type(plan)(plan.target, plan.folder, plan.trials + 8)
    tune([task], second, longer, VERSIONS, unheard, fail)
    assert second.measured
    assert not set(first.measured) & set(second.measured)
    keys = [entry.key for entry in entries(plan.folder, fail)]
    assert len(set(keys)) == len(keys)


def test_a_run_that_is_complete_measures_nothing_more(task, plan, pretended):
    made = tune([task], pretended(), plan, VERSIONS, unheard, fail)
    runner = pretended()
    assert tune([task], runner, plan, VERSIONS, unheard, fail) == made
    assert runner.measured == []


def test_a_tuner_takes_over_what_another_one_measured(task, plan, pretended):
    first, second = pretended(), pretended()
    tune([task], first, type(plan)(plan.target, plan.folder, 16), VERSIONS, unheard, fail)
    tune([task], second, plan, VERSIONS, unheard, fail)
    assert not set(first.measured) & set(second.measured)


def test_two_tuners_at_the_same_time_lose_nothing_and_keep_nothing_twice(task, plan, pretended):
    begun = plan.folder.parent / "begun"
    begun.mkdir(parents=True)

    class AtTheSameTime(pretended):
        """Begins its first round when the other one does."""

        def measure(self, task, modules):
            (begun / str(os.getpid())).touch()
            while len(list(begun.iterdir())) < 2:
                time.sleep(0.01)
            return super().measure(task, modules)

    def work():
        runner = AtTheSameTime()
        made = tune([task], runner, dataclasses.replace(plan, trials=64), VERSIONS, unheard, fail)
        return set(runner.measured), made[0].exact

    outcomes = in_children([work, work], 200, workers=2)
    assert [outcome.failure for outcome in outcomes] == ["", ""]
    (first, right), (second, right_too) = (outcome.value for outcome in outcomes)
    assert right
    assert right_too
    assert first - second
    assert second - first
    logged = entries(plan.folder, fail)
    assert {replay(task.function, entry.trace).mod.script() for entry in logged} == first | second
    keys = [entry.key for entry in logged]
    assert len(set(keys)) == len(keys) >= 64
    assert all(verdict.exact for verdict in verdicts(plan.folder, fail))
    assert len(sessions(plan.folder, fail)) == 2


def test_a_candidate_that_another_tuner_kept_meanwhile_is_not_kept_again(task, plan, candidates, target):
    tvm_target = tvm.target.Target(target.tvm)
    ours = [(candidate.schedule, Measured((1e-6,))) for candidate in candidates[:3]]
    theirs = [(candidate.schedule, Measured((2e-6,))) for candidate in candidates[1:4]]
    commit(plan.folder, task, tvm_target, ours)
    commit(plan.folder, task, tvm_target, theirs)
    assert [entry.key for entry in entries(plan.folder, fail)] == [candidate.key for candidate in candidates[:4]]
    assert [entry.mean_s for entry in entries(plan.folder, fail)] == [1e-6, 1e-6, 1e-6, 2e-6]


def test_a_record_that_does_not_fit_its_layer_is_skipped_and_named_and_the_search_goes_on(task, plan, pretended):
    tune([task], pretended(), plan, VERSIONS, unheard, fail)
    path = plan.folder / RECORDS
    lines = path.read_bytes().splitlines()
    foreign = msgspec.json.decode(lines[0])
    foreign[1][0][0][0][2][0] = "no such block"
    path.write_bytes(b"\n".join([*lines[:3], msgspec.json.encode(foreign), *lines[3:]]) + b"\n")
    heard = []
    tune([task], pretended(), dataclasses.replace(plan, trials=plan.trials + 4), VERSIONS, unheard, heard.append)
    assert len(heard) == 1
    assert heard[0].startswith(f"log '{path}', line 4: the trace does not fit the function")
    assert len(entries(plan.folder, fail)) == len(lines) + 1 + 4


def test_a_fast_wrong_kernel_never_wins(task, plan, pretended, candidates):
    wrong = candidates[3].schedule.mod.script()
    heard = []
    runner = pretended(wrong=wrong)
    (verdict,) = tune([task], runner, plan, VERSIONS, unheard, heard.append)
    assert wrong in runner.measured
    assert verdict.exact
    assert key_of(verdict.trace) != candidates[3].key
    kept = verdicts(plan.folder, fail)
    assert [key_of(each.trace) for each in kept if not each.exact] == [candidates[3].key]
    assert "is wrong and will not be used" in heard[0]


def test_a_candidate_that_fails_is_kept_as_failed_and_not_tried_again(task, plan, pretended, candidates):
    failing = candidates[2].schedule.mod.script()
    tune([task], pretended(failing=failing), plan, VERSIONS, unheard, fail)
    (failed,) = [entry for entry in entries(plan.folder, fail) if entry.failed]
    assert failed.key == candidates[2].key
    assert failed.seconds == (FAILED_S,)
    runner = pretended()
    tune([task], runner, type(plan)(plan.target, plan.folder, plan.trials + 8), VERSIONS, unheard, fail)
    assert failing not in runner.measured


def test_metaschedule_reads_the_log_itself(task, plan, pretended):
    tune([task], pretended(), plan, VERSIONS, unheard, fail)
    paths = {"path_workload": plan.folder / "database_workload.json", "path_tuning_record": plan.folder / RECORDS}
    database = ms.database.JSONDatabase(**{name: str(path) for name, path in paths.items()})
    assert len(database) == plan.trials
    best = database.query_tuning_record(task.module, tvm.target.Target(plan.target.tvm), "main")
    assert float(best.run_secs[0]) == min(entry.mean_s for entry in entries(plan.folder, fail))


def test_records_that_are_none_are_skipped_and_their_neighbours_used(task, plan, pretended):
    tune([task], pretended(), plan, VERSIONS, unheard, fail)
    path = plan.folder / RECORDS
    lines = path.read_bytes().splitlines()
    broken = [lines[0], b"", b"[99" + lines[1][2:], b'{"not": "a record"}', lines[2][:200], *lines[3:]]
    path.write_bytes(b"\n".join(broken) + b"\n")
    heard = []
    assert len(entries(plan.folder, heard.append)) == len(lines) - 2
    assert [message.split(":")[0] for message in heard] == [f"log '{path}', line {number}" for number in (2, 3, 4, 5)]


def test_the_layer_with_most_to_win_gets_most_of_the_trials(make_task, plan, pretended):
    small, large = make_task(48, 384, isa=AVX512_VPOPCNTDQ), make_task(96, 384, isa=AVX512_VPOPCNTDQ)
    runner = pretended()
    rounds = []
    tasks = [dataclasses.replace(small, weight=1), dataclasses.replace(large, weight=1000)]
    tune(tasks, runner, type(plan)(plan.target, plan.folder, 70), VERSIONS, rounds.append, fail)
    measured = [round_.task.workload for round_ in rounds]
    assert set(measured) == {small.workload, large.workload}
    assert measured.count(large.workload) > measured.count(small.workload)


def test_the_default_wins_where_nothing_is_clearly_faster(task, plan, pretended):
    class Even(pretended):
        def seconds(self, module):
            return (1e-6,)

    (verdict,) = tune([task], Even(), plan, VERSIONS, unheard, fail)
    assert verdict.gain == 1
    default = Search(task, tvm.target.Target(plan.target.tvm)).default
    assert verdict.trace == to_json(default.schedule)
    assert (plan.folder / VERDICTS).exists()
