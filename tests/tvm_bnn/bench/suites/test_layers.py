import dataclasses

import numpy as np
import pytest

from schedules.kernels import reference
from schedules.kernels.window import Window
from schedules.machines import host
from schedules.machines.target import TARGETS, find_target, native
from tvm_bnn.bench.limits.peaks import best_peak
from tvm_bnn.bench.options import Plan
from tvm_bnn.bench.peers.catalog import LAYER_PEERS
from tvm_bnn.bench.peers.unavailable import Unavailable
from tvm_bnn.bench.suites import compiled_layer
from tvm_bnn.bench.suites.layers import call_of_nothing, measure_layer
from tvm_bnn.bench.tables.layers import print_layers
from tvm_bnn.bench.workloads import WORKLOADS, Workload, operands_of
from tvm_bnn.tune.tasks import tasks_of

DILATED = Window((3, 3), (2, 1), (2, 2, 2, 2), (2, 2))
TINY = [
    Workload("plain", 5, 6, 40, 24),
    Workload("grouped", 5, 6, 32, 16, groups=2),
    Workload("dilated", 9, 7, 32, 16, DILATED),
    Workload("float", 6, 5, 3, 20, binary=False),
    Workload("stem", 6, 16, 3, 20, binary=False),
]
HERE = [target for target in (native(), *TARGETS) if target.machine == host.machine() and target.runs_here]


@pytest.mark.parametrize("target", HERE, ids=lambda target: target.name)
@pytest.mark.parametrize("workload", TINY, ids=lambda workload: workload.name)
def test_a_compiled_layer_is_checked_and_runs(workload, target):
    made = compiled_layer.compile_layer(workload, operands_of(workload), target, "zig")
    made.call()
    kernel = {"float": "conv2d", "stem": "conv2d_winograd"}.get(workload.name, "bconv2d")
    assert made.choice.startswith(f"{kernel}/")
    assert " + " not in made.choice


def test_a_layer_that_computes_something_else_is_refused(monkeypatch):
    monkeypatch.setattr(reference, "threshold", lambda x, _tau, _flip: x > 0)
    with pytest.raises(RuntimeError, match="'plain': the compiled layer does not compute what NumPy does"):
        compiled_layer.compile_layer(TINY[0], operands_of(TINY[0]), native(), "zig")


def test_a_layer_gets_what_ships_for_it_as_in_a_compilation():
    plan = Plan(find_target("x86-avx512"))
    scheduled = compiled_layer.scheduled_layer(WORKLOADS[0], operands_of(WORKLOADS[0]), plan.target, plan.logs)
    assert compiled_layer.schedule_of(scheduled) == "shipped"


def test_the_log_that_is_named_comes_first_and_the_table_says_so(log_of, printed):
    target = native()
    tasks = tasks_of(compiled_layer.lowered_layer(TINY[0], operands_of(TINY[0]), target.isa), target.isa)
    plan = Plan(target, peers=False, repeats=2, log=log_of(tasks, target))
    (ours, _) = records = measure_layer(TINY[0], plan, best_peak("binary", target.isa.name), call_of_nothing(plan))
    assert ours.facts["schedule"] == "log"
    (row,) = [line for line in printed(print_layers, records).splitlines() if line.startswith("plain")]
    assert " log " in row


def test_a_tiny_layer_is_measured_from_end_to_end():
    plan = Plan(native(), repeats=2)
    records = measure_layer(TINY[0], plan, best_peak("binary", plan.target.isa.name), call_of_nothing(plan))
    ours, peak, *peers = records
    assert (ours.system, ours.case, ours.work) == ("tvm_bnn", "plain", 5 * 6 * 24 * 40 * 9)
    assert ours.facts["schedule"] == "default"
    assert len(ours.samples.samples_ns) == 2
    assert peak.system.startswith("peak binary: ")
    assert [peer.system for peer in peers if peer.samples or peer.skipped] == [peer.system for peer in peers]
    assert {peer.system for peer in peers} == set(LAYER_PEERS)


@pytest.mark.parametrize("peer", LAYER_PEERS)
@pytest.mark.parametrize("workload", TINY, ids=lambda workload: workload.name)
def test_peers_compute_the_same_layer(workload, peer):
    operands = operands_of(workload)
    try:
        call = LAYER_PEERS[peer](workload, operands, 1)
    except Unavailable as reason:
        pytest.skip(str(reason))
    found = call()
    found = np.asarray(found.data if peer.startswith("OpenVINO") else found)
    found = found.transpose(0, 2, 3, 1).astype(np.float64)
    if peer == "ONNX Runtime int8":
        found = found - 128
    expected = reference.conv2d(operands.x, operands.weight, workload.window, workload.groups)
    assert found.shape == expected.shape
    if workload.binary:
        np.testing.assert_array_equal(found, expected)
    elif "int8" in peer:
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9
    else:
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_peers_that_are_not_installed_are_skipped_with_a_reason(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for name, peer in LAYER_PEERS.items():
        if name.startswith("PyTorch"):
            continue
        with pytest.raises(Unavailable, match=r"is not installed.*pip install 'tvm-bnn\[bench\]'"):
            peer(TINY[0], operands_of(TINY[0]), 1)


def test_the_workloads_are_what_their_names_say():
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)
    by_name = {workload.name: workload for workload in WORKLOADS}
    for name in ("3x3 56x56x64", "3x3 28x28x128", "3x3 14x14x256", "3x3 7x7x512"):
        assert by_name[name].macs == 115_605_504
    assert {workload.binary for workload in WORKLOADS} == {True, False}


def test_operands_are_the_same_every_time():
    a, b = operands_of(TINY[0]), operands_of(TINY[0])
    for field in dataclasses.fields(a):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))
    assert set(np.unique(a.x)) == {-1, 1}
