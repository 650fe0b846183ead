"""Default against tuned schedules, of layers that take no time."""

import dataclasses

import pytest
import tvm
from rich.console import Console

from rpc.measuring.measurement import Samples
from schedules.errors import UserError
from schedules.files.record_file import read
from schedules.machines import host
from schedules.tuned import space
from schedules.tuned.lookup import Tuned
from schedules.tuned.trace import to_json
from schedules.tuned.tuning_log import Verdict
from tvm_bnn.bench.records import Record
from tvm_bnn.tune import command as tune_command
from tvm_bnn.tune.comparing import comparing
from tvm_bnn.tune.comparing.compare_table import print_compared, records_of
from tvm_bnn.tune.comparing.comparing import Compared, compare

needs_x86 = pytest.mark.skipif(host.machine() != "x86_64", reason="the schedules are for x86")


@pytest.fixture
def logs(task, tmp_path):
    """Return a function that makes a log which knows one schedule of the layer."""

    def make(schedule):
        known = {name: getattr(task, name) for name in ("workload", "signature", "version", "macs")}
        rest = {"trials": 1, "kind": "measured", "target": "x86-64", "device": "", "threads": 1, "tvm": "", "date": ""}
        times = {"exact": True, "seconds": 1e-6, "default_seconds": 1e-6}
        return [Tuned("log", tmp_path, {task.workload: Verdict(trace=to_json(schedule), **known, **rest, **times)})]

    return make


def another(task):
    default = space.default_point(task.function, task.isa)
    drawn = space.generate(tvm.s_tir.Schedule(task.module, debug_mask="none"), task.isa)
    return next(schedule for schedule in drawn if schedule.mod.script() != default.mod.script())


@needs_x86
def test_both_schedules_of_a_layer_are_timed_in_turns(task, target, logs):
    found = compare(task, target, logs(another(task)), "zig", 3, pytest.fail)
    assert found.origin == "log"
    assert len(found.default.samples_ns) == len(found.tuned.samples_ns) == 3
    low, middle, high = found.gain
    assert 0 < low <= middle <= high


@needs_x86
@pytest.mark.parametrize("known", [True, False])
def test_the_default_is_not_compared_with_itself(task, target, logs, known):
    made = logs(space.default_point(task.function, task.isa)) if known else []
    found = compare(task, target, made, "zig", 2, pytest.fail)
    assert (found.origin, found.tuned, found.gain) == ("log" if known else "default", None, (1, 1, 1))


@needs_x86
def test_a_schedule_that_computes_something_else_is_no_comparison(task, target, logs, monkeypatch):
    monkeypatch.setattr(comparing, "agree", lambda _found, _expected: False)
    with pytest.raises(UserError, match=r"schedule from log: .*it computes something else than the default"):
        compare(task, target, logs(another(task)), "zig", 2, pytest.fail)


def compared(task, name, default_us, tuned_us, weight=1):
    default, tuned = (
        None if us is None else Samples(tuple(1000.0 * each for each in us), 1) for us in (default_us, tuned_us)
    )
    named = dataclasses.replace(task, name=name, weight=weight)
    return Compared(named, "default" if tuned is None else "shipped", "bdense/avx2 1x4", default, tuned)


def test_what_disappoints_is_named(task):
    found = [
        compared(task, "faster", (120, 121, 119), (100, 100, 100), weight=2),
        compared(task, "slower", (100, 100, 101), (110, 111, 110)),
        compared(task, "even", (100, 98, 102), (100, 100, 100)),
        compared(task, "untuned", (50, 50, 50), None),
    ]
    console = Console(width=200, highlight=False, force_terminal=False)
    with console.capture() as captured:
        print_compared(found, console)
    text = captured.get()
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "1.200x" in rows["faster"]
    assert "~1.000x" in rows["even"]
    assert "default" in rows["untuned"]
    assert "all layers: 490 µs with default schedules, 460 µs with tuned ones, 1.065x" in text
    assert "tuned slower than default: slower (0.909x)" in text
    assert "default more than 15% slower than tuned: faster (1.200x)" in text


def test_records_keep_the_samples_of_both(task):
    made = records_of(
        "a model", "x86-64", [compared(task, "a layer", (2, 2), (1, 1)), compared(task, "b", (3,), None)], 1
    )
    assert [(record.case, record.system, record.samples.median_ns) for record in made] == [
        ("a layer", "default", 2000),
        ("a layer", "tuned", 1000),
        ("b", "default", 3000),
    ]


@needs_x86
def test_the_command_compares_the_layers_that_it_is_asked_for_and_keeps_the_times(tmp_path, capsys):
    record = tmp_path / "schedules.jsonl"
    options = ["--target", "x86-64", "--only", "dense", "--repeats", "2", "--record", str(record)]
    assert tune_command.main(["compare", *options]) == 0
    assert "tuned slower than default: " in capsys.readouterr().out
    assert [recorded.facts["target"] for recorded in read(record, Record)] == ["x86-64"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--target", "rpi4" if host.machine() == "x86_64" else "x86-avx2"], "have to be taken here"),
        (["--log", "/no/such/log"], "log '/no/such/log': no such folder"),
        (["--repeats", "0"], "must be at least 1"),
    ],
)
def test_what_cannot_be_compared_is_one_line(arguments, text, capsys):
    assert tune_command.main(["compare", *arguments]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert text in line
