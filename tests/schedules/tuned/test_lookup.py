import dataclasses
import random

import msgspec
import pytest
import tvm

from schedules.files.line_file import append, locked
from schedules.machines.isa import NEON
from schedules.machines.target import find_target
from schedules.tuned import lookup as tuned
from schedules.tuned import space
from schedules.tuned.lookup import schedule_tuned, tuned_for
from schedules.tuned.proof import prove
from schedules.tuned.trace import to_json
from schedules.tuned.tuning_log import VERDICTS, Verdict, folder_of, log_name, verdicts
from schedules.tuned.workload import normalized, signature, workload_hash

RPI4 = find_target("rpi4")


def verdict(function, **changes):
    plain = normalized(function)
    schedules = space.generate(tvm.s_tir.Schedule(tvm.IRModule({"main": plain}), debug_mask="none"), NEON)
    values = {
        "workload": workload_hash(plain),
        "signature": signature(plain, NEON),
        "version": space.kernel_version(plain, NEON),
        "trace": to_json(schedules[-1]),
        "exact": True,
        "seconds": 1e-6,
        "default_seconds": 2e-6,
        "macs": 1,
        "trials": 16,
        "kind": "measured",
        "target": "aarch64-cortex-a72",
        "device": "a board",
        "threads": 1,
        "tvm": tvm.__version__,
        "date": "2026-01-01T00:00:00+00:00",
    }
    return Verdict(**{**values, **changes})


def log_with(tmp_path, *verdicts, target=RPI4, kind="measured"):
    folder = folder_of(tmp_path, target, kind)
    with locked(folder):
        append(folder / VERDICTS, [msgspec.json.encode(each) for each in verdicts])
    return tuned_for(target, tmp_path, pytest.fail)


def test_a_layer_gets_the_schedule_of_the_log(convolution, tmp_path):
    function = convolution(NEON)
    logs = log_with(tmp_path, verdict(function))
    scheduled, choice, origin = schedule_tuned(function, NEON, logs, pytest.fail)
    assert origin == "log"
    assert str(choice).startswith("bconv2d/neon ")
    default, _, said = schedule_tuned(function, NEON, [], pytest.fail)
    assert said == "default"
    assert scheduled.script() != default.script()


def test_estimates_are_called_so_and_stand_behind_measurements(convolution, tmp_path):
    function = convolution(NEON)
    logs = log_with(tmp_path, verdict(function, kind="estimated"), kind="estimated")
    assert schedule_tuned(function, NEON, logs, pytest.fail)[2] == "log, estimated"
    logs = log_with(tmp_path, verdict(function))
    assert [log.origin for log in logs if log.origin.startswith("log")] == ["log", "log, estimated"]
    assert schedule_tuned(function, NEON, logs, pytest.fail)[2] == "log"


def test_a_record_of_another_version_of_the_kernel_is_refused_and_said_so(convolution, tmp_path):
    function = convolution(NEON)
    heard = []
    logs = log_with(tmp_path, verdict(function, version="older"))
    assert schedule_tuned(function, NEON, logs, heard.append)[2] == "default"
    assert len(heard) == 1
    assert "was made for version older of the kernel" in heard[0]


def test_a_record_of_another_meaning_of_the_same_layer_is_refused_and_said_so(convolution, tmp_path):
    function = convolution(NEON)
    heard = []
    logs = log_with(tmp_path, verdict(function, workload="1234", version="older"))
    assert schedule_tuned(function, NEON, logs, heard.append)[2] == "default"
    assert "tune it again" in heard[0]


def test_a_record_whose_schedule_does_not_fit_is_refused_and_said_so(convolution, tmp_path):
    function = convolution(NEON)
    good = verdict(function)
    broken = msgspec.json.decode(msgspec.json.encode(good.trace))
    broken[0][0][2][0] = "no such block"
    heard = []
    logs = log_with(tmp_path, msgspec.structs.replace(good, trace=broken))
    assert schedule_tuned(function, NEON, logs, heard.append)[2] == "default"
    assert len(heard) == 1
    assert "the trace does not fit the function" in heard[0]
    assert "not used, tune it again" in heard[0]


def with_factors(made, factors):
    trace = msgspec.json.decode(msgspec.json.encode(made.trace))
    trace[1][0][1] = factors
    return msgspec.structs.replace(made, trace=trace)


@pytest.mark.parametrize(
    "factors", [[1, 1], [7, 3], [0, 8], [-1, -8], [1, 2, 4], [8], [], [True, True], [2.0, 4], [10**30, 1]]
)
def test_a_record_whose_factors_were_changed_is_refused_and_said_so(convolution, tmp_path, factors):
    function = convolution(NEON)
    made = verdict(function)
    heard = []
    logs = log_with(tmp_path, with_factors(made, factors)) if factors else []
    if not factors:  # skipped while it is read
        folder = folder_of(tmp_path, RPI4)
        with locked(folder):
            append(folder / VERDICTS, [msgspec.json.encode(with_factors(made, factors))])
        tuned_for(RPI4, tmp_path, heard.append)
    assert schedule_tuned(function, NEON, logs, heard.append)[2] == "default"
    assert len(heard) == 1
    assert f"log '{tmp_path}" in heard[0]


def test_every_draw_of_the_space_is_one_that_a_record_may_have(convolution, tmp_path):
    function = convolution(NEON)
    (index, drawn), *_ = made.trace[1] if (made := verdict(function)).trace[1] else [(0, [1, 1])]
    extent, most = drawn[0] * drawn[1], made.trace[0][index][2][1]
    for inner in [inner for inner in range(1, extent + 1) if extent % inner == 0]:
        heard = []
        logs = log_with(tmp_path / str(inner), with_factors(made, [extent // inner, inner]))
        origin = schedule_tuned(function, NEON, logs, heard.append)[2]
        assert (origin == "log") == (inner <= most) == (not heard)


def test_a_changed_instruction_is_refused(convolution):
    function, rng = convolution(NEON), random.Random(0)
    made = msgspec.json.encode(verdict(function).trace)
    prove(function, NEON, msgspec.json.decode(made))
    for _ in range(25):
        trace = msgspec.json.decode(made)
        instruction = rng.choice(trace[0])
        part = rng.choice([1, 2, 3])
        instruction[part] = [*instruction[part][rng.randrange(2) :], rng.choice([1, "b0", None, [], {"a": 1}])]
        with pytest.raises(ValueError, match=r"the trace (does not fit the function|is none of the template's)"):
            prove(function, NEON, trace)


@pytest.mark.parametrize(
    "trace",
    [
        [],
        [[], []],
        ["x", []],
        [[["Split"]], [[0, [1, 2]]]],
        [1, 2],
        [[], {"a": 1}],
        [[{}], [[0, [1]]]],
        [[], [{"0": 1}]],
    ],
)
def test_a_verdict_without_a_trace_of_the_template_is_skipped_and_named(convolution, tmp_path, trace):
    folder = folder_of(tmp_path, RPI4)
    with locked(folder):
        made = verdict(convolution(NEON))
        append(
            folder / VERDICTS,
            [msgspec.json.encode(each) for each in (msgspec.structs.replace(made, trace=trace), made)],
        )
    heard = []
    assert verdicts(folder, heard.append) == [made]
    assert heard == [f"log '{folder / VERDICTS}', line 1: the trace is none of the template's; skipped"]


def test_a_wrong_candidate_is_never_used(convolution, tmp_path):
    function = convolution(NEON)
    logs = log_with(tmp_path, verdict(function, exact=False))
    assert schedule_tuned(function, NEON, logs, pytest.fail)[2] == "default"


def test_the_latest_verdict_counts(convolution, tmp_path):
    function = convolution(NEON)
    first, second = verdict(function), verdict(function, seconds=3e-6)
    (log, *_) = log_with(tmp_path, first, second)
    assert log.by_workload[first.workload] == second


def test_what_ships_is_used_where_the_log_has_nothing(convolution, tmp_path, monkeypatch):
    function = convolution(NEON)
    log_with(tmp_path, verdict(function))
    monkeypatch.setattr(tuned, "SHIPPED", tmp_path)
    (shipped,) = tuned_for(RPI4, None, pytest.fail)
    assert schedule_tuned(function, NEON, [shipped], pytest.fail)[2] == "shipped"
    other = verdict(convolution(NEON, size=4))
    logs = log_with(tmp_path / "mine", other)
    assert [log.origin for log in logs] == ["log", "shipped"]
    assert schedule_tuned(function, NEON, logs, pytest.fail)[2] == "shipped"


def test_logs_of_another_processor_are_not_used(convolution, tmp_path):
    function = convolution(NEON)
    log_with(tmp_path, verdict(function))
    assert not [log for log in tuned_for(find_target("rpi5"), tmp_path, pytest.fail) if log.origin.startswith("log")]


def test_boards_with_the_same_processor_share_a_log():
    assert log_name(RPI4) == log_name(find_target("rk3399")) == log_name(find_target("arm"))
    assert len({log_name(find_target(name)) for name in ("x86-avx512", "x86-avx2", "x86-64", "rpi3", "rpi4")}) == 5


def test_other_instructions_of_the_same_processor_are_another_target():
    avx2 = find_target("x86-avx2")
    with_more = dataclasses.replace(avx2, tvm={**avx2.tvm, "mattr": ["+avx512f"]})
    assert log_name(with_more) != log_name(avx2)


def test_instructions_that_only_kernels_of_their_own_use_make_no_other_target():
    """This machine's own target has them, and shall find what was tuned for its instruction set."""
    for name, extra in (("x86-avx2", "+avxvnni"), ("x86-avx512", "+avx512bf16"), ("x86-avx512", "+amx-int8")):
        plain = find_target(name)
        attributes = [*plain.tvm.get("mattr", ()), extra]
        assert log_name(dataclasses.replace(plain, tvm={**plain.tvm, "mattr": attributes})) == log_name(plain)


def test_a_processor_with_amx_finds_what_ships_for_its_other_kernels():
    amx, plain = find_target("x86-amx"), find_target("x86-avx512")
    assert log_name(amx) == log_name(plain) == "x86-avx512"
    assert [log.place for log in tuned_for(amx, None, pytest.fail)] == [
        log.place for log in tuned_for(plain, None, pytest.fail)
    ]


def test_a_line_that_is_no_verdict_is_skipped_and_named(convolution, tmp_path):
    function = convolution(NEON)
    log_with(tmp_path, verdict(function))
    path = folder_of(tmp_path, RPI4) / VERDICTS
    path.write_bytes(b'{"workload": 7}\n' + path.read_bytes())
    heard = []
    logs = tuned_for(RPI4, tmp_path, heard.append)
    assert logs[0].origin == "log"
    assert f"log '{path}', line 1:" in heard[0]
