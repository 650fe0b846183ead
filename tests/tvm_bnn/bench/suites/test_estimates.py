"""Layers of a board that is not here: counted, modelled, never timed."""

import json

import msgspec
import pytest

from rpc.boards import instruction_counts
from schedules.files.record_file import read
from schedules.kernels.window import Window
from schedules.machines import host
from schedules.machines.isa import NEON
from schedules.machines.target import find_target
from tvm_bnn.bench import command as bench
from tvm_bnn.bench.limits import cycle_model
from tvm_bnn.bench.limits.cycle_model import CORES, cycles_per_iteration, hottest_loop, macs_per_cycle
from tvm_bnn.bench.limits.ideal_loop import IdealLoop, ideal_loop
from tvm_bnn.bench.options import Plan
from tvm_bnn.bench.records import Record
from tvm_bnn.bench.suites import estimates as estimate_suite
from tvm_bnn.bench.suites.estimates import estimate_layer
from tvm_bnn.bench.tables.estimates import print_estimates
from tvm_bnn.bench.workloads import WORKLOADS, Workload

ARM = Plan(target=find_target("rpi4"))
SUMMARY = """\

[0] Code Region

Iterations:        100
Instructions:      6300
Total Cycles:      2611
Total uOps:        6700

Dispatch Width:    8
uOps Per Cycle:    2.57
IPC:               2.41
Block RThroughput: 24.0
"""
ASSEMBLY = """\
kernel:
.LBB0_1:
\tmov\tx1, xzr
.LBB0_2:
\t.loc\t1 0 0
\tcnt\tv0.16b, v1.16b
.Ltmp1:
\tcnt\tv2.16b, v3.16b
\tb.ne\t.LBB0_2
\tcnt\tv0.16b, v1.16b
.LBB0_3:
\tcnt\tv0.16b, v1.16b
\tcbnz\tx3, .LBB0_3
\tcbz\tx9, .LBB0_9
\tb.ne\t.LBB0_1
.LBB0_9:
\tret
"""


@pytest.fixture
def emulator():
    missing = instruction_counts.unavailable("aarch64")
    if missing is not None:
        pytest.skip(missing)


def test_an_ideal_step_is_products_loads_and_broadcasts():
    loop = IdealLoop(pixels=4, vectors=4, steps=10)
    assert loop.products == 160
    assert loop.instructions == 10 * (3 * 16 + 4 + 4)


@pytest.mark.parametrize(
    ("workload", "pixels", "vectors", "steps"),
    [
        # 28 rows, 7 tiles of pixels, 16 / 4 tiles of channels; 9 taps of 8 words.
        (Workload("plain", 28, 28, 128, 128), 4, 4, 28 * 7 * 4 * 9 * 8),
        # Strides halve the output.
        (Workload("strided", 14, 14, 256, 512, Window((3, 3), (2, 2), (1, 1, 1, 1))), 7, 2, 7 * 1 * 32 * 9 * 16),
        # 32 channels a group: two words, four vectors of outputs.
        (Workload("grouped", 28, 28, 128, 128, groups=4), 4, 4, 28 * 7 * 4 * 9 * 2),
        # 100 channels fill seven words and 13 vectors.
        (Workload("ragged", 28, 28, 100, 100), 14, 1, 28 * 2 * 13 * 9 * 7),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_steps_are_tiles_times_words_under_the_window(workload, pixels, vectors, steps):
    assert ideal_loop(workload, NEON, pixels, vectors).steps == steps


def test_a_full_layer_does_128_macs_a_product():
    workload = WORKLOADS[1]
    assert ideal_loop(workload, NEON, 4, 4).products * 128 == workload.macs


def test_the_hottest_loop_is_innermost_and_free_of_directives():
    assert hottest_loop(ASSEMBLY) == ["\tcnt\tv0.16b, v1.16b", "\tcnt\tv2.16b, v3.16b", "\tb.ne\t.LBB0_2"]


def test_assembly_without_counts_has_no_hottest_loop():
    assert hottest_loop(".L1:\n\tadd\tx0, x0, #1\n\tb.ne\t.L1\n") == []


def test_cycles_are_read_from_the_summary():
    assert cycles_per_iteration(SUMMARY) == pytest.approx(26.11)
    with pytest.raises(ValueError, match="no summary"):
        cycles_per_iteration("error: no such processor")


@pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)
def test_products_alone_reach_the_limit_on_the_cores_models(core):
    analyzer = cycle_model.find_analyzer()
    if analyzer is None:
        pytest.skip(estimate_suite.NO_ANALYZER)
    # By kind, so that nothing waits for a result; 16 accumulators.
    loop = [
        instruction.format(out=out, accumulator=out - 24 + half)
        for half in (0, 8)
        for instruction in (
            "\teor\tv{out}.16b, v22.16b, v23.16b",
            "\tcnt\tv{out}.16b, v{out}.16b",
            "\tuadalp\tv{accumulator}.8h, v{out}.16b",
        )
        for out in range(24, 32)
    ]
    assert macs_per_cycle(loop, core, analyzer) / core.limit == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    "workload",
    [
        Workload("3x3", 6, 8, 32, 32),
        Workload("grouped", 6, 8, 32, 32, groups=2),
        Workload("ragged", 5, 7, 20, 24, Window((3, 3), (2, 2), (1, 1, 1, 1))),
    ],
    ids=lambda workload: workload.name,
)
def test_every_product_of_the_ideal_loop_is_executed_once(workload, emulator, monkeypatch):
    seen = []
    count = instruction_counts.count

    def spy(*arguments):
        seen.append(count(*arguments))
        return seen[0]

    monkeypatch.setattr(instruction_counts, "count", spy)
    monkeypatch.setattr(estimate_suite, "find_analyzer", lambda: None)
    layer, *parts = estimate_layer(workload, ARM)
    ideal = estimate_suite.ideal_of(workload, layer.facts["kernel"])
    is_cnt = 0x4E205800
    executed = sum(times for code, times in seen[0][1].items() if code & 0xFFFFFC00 == is_cnt)
    assert executed == ideal.products
    assert layer.facts["ideal"] == ideal.instructions < layer.facts["instructions"]
    assert {part.skipped for part in parts} == {estimate_suite.NO_ANALYZER}


_QUICK = {"3x3 28x28x128, 4 groups", "3x3 28x28x100"}


@pytest.mark.parametrize(
    "workload",
    [
        pytest.param(workload, id=workload.name, marks=[] if workload.name in _QUICK else pytest.mark.slow)
        for workload in WORKLOADS
        if workload.binary
    ],
)
def test_no_layer_executes_much_more_than_its_ideal_loop(workload, emulator, monkeypatch):
    """No time: the count is the same on every machine and every day."""
    monkeypatch.setattr(estimate_suite, "find_analyzer", lambda: None)
    layer, *_ = estimate_layer(workload, ARM)
    assert layer.facts["instructions"] <= _MOST_OF_IDEAL * layer.facts["ideal"]


_MOST_OF_IDEAL = 1.15


def test_estimates_are_recorded_as_such_and_carry_no_time(emulator, tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    assert bench.main(["layers", "--target", "rpi3", "--only", "4 groups", "--record", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "not times" in printed
    records = read(path, Record)
    assert {record.kind for record in records} == {"estimate"}
    assert all(record.samples is None for record in records)
    assert [record.part for record in records] == ["", *(core.name for core in CORES)]
    if cycle_model.find_analyzer() is not None:
        assert all(0.5 < record.facts["share_of_limit"] <= 1 for record in records[1:])


def test_records_from_before_there_were_estimates_are_measurements(record):
    told = json.loads(msgspec.json.encode(record()))
    del told["kind"]
    assert msgspec.convert(told, Record).kind == "measurement"


def test_the_table_says_what_is_no_time_and_what_is_missing(record, printed):
    facts = {
        "kernel": "bconv2d/neon 4x4",
        "target": "rpi4",
        "cpu": "cortex-a72",
        "qemu": "7.2.22",
        "instructions": 3_500_000,
        "ideal": 3_200_000,
    }
    layer = record(kind="estimate", us=None, work=115_605_504.0, facts=facts)
    modelled = record(
        kind="estimate", us=None, part="Cortex-A53", facts={"macs_per_cycle": 30.6, "share_of_limit": 0.9}
    )
    missing = record(kind="estimate", us=None, part="Cortex-A72", skipped="no llvm-mca")
    text = printed(print_estimates, [record(case="measured"), layer, modelled, missing])
    assert "estimates for rpi4, not times" in text
    assert "measured" not in text
    for cell in (
        "bconv2d 4x4",
        "3500000",
        "0.0303",
        "33.0",
        "1.094",
        "30.6 (90%)",
        "skipped cycle models: no llvm-mca",
    ):
        assert cell in text


def test_without_the_emulator_one_line_says_what_to_install(monkeypatch, capsys):
    if host.machine() == "aarch64":
        pytest.skip("this machine executes it")
    monkeypatch.setattr("shutil.which", lambda _program: None)
    assert bench.main(["layers", "--target", "rpi4"]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "apt-get install qemu-user" in line
