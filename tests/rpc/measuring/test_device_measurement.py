"""Artifacts on this machine's own board server, through a tracker."""

import msgspec
import numpy as np
import psutil
import pytest

from rpc.measuring import reference_samples
from rpc.measuring.device_measurement import Plan, candidate, measure_on_device
from rpc.measuring.measurement import Samples
from rpc.sessions.session import Board, LoadedModel
from rpc.tracking import tracker_client
from rpc.tracking.local_tracker import wait_for_devices
from schedules.errors import UserError
from schedules.machines.target import find_target

QUICK = Plan(repeats=3, wait_seconds=20, session_seconds=60)


def test_right_answers_come_first_then_times_then_layers(tracker, offer, artifact):
    offer("board")
    first, second = measure_on_device(
        tracker, "board", [candidate(artifact), candidate(artifact)], Plan(repeats=3, profile=True)
    )
    assert (first.agreement.samples, first.agreement.agreeing) == (5, 5)
    assert first.agreement.same_predictions == 1.0
    assert len(first.samples.samples_ns) == len(second.samples.samples_ns) == 3
    assert all(ns > 0 for ns in first.samples.samples_ns)
    assert [layer.layer for layer in first.layers] == ["total", "minus"]
    assert all(layer.ns > 0 for layer in first.layers)
    assert first.peak_memory_bytes > 0
    assert first.energy is None or first.energy.millijoules > 0
    assert first.board.cores >= 1
    assert first.board.emulated == ""


def test_a_wrong_answer_is_not_timed(tracker, offer, artifact, tmp_path):
    offer("board")
    good = reference_samples.read(reference_samples.beside(artifact))
    wrong = msgspec.structs.replace(good, expected=(good.expected[0] + 1, good.expected[1]))
    (tmp_path / "wrong.npz").write_bytes(reference_samples.encode(wrong))
    with pytest.raises(UserError, match=r"only 0 of 5 samples on the device agree .* it is not timed"):
        measure_on_device(tracker, "board", [candidate(artifact, tmp_path / "wrong.npz")], QUICK)


def test_an_artifact_for_another_architecture_is_refused_before_it_is_uploaded(
    tracker, offer, artifact_for, tmp_path, monkeypatch
):
    offer("board")
    other = "aarch64" if find_target("native").machine == "x86_64" else "x86_64"
    artifact = artifact_for(tmp_path / "other.so", find_target("native"), machine=other)
    monkeypatch.setattr(Board, "load", lambda *_: pytest.fail("it was uploaded"))
    with pytest.raises(UserError, match=f"'other.so' is for {other} .* the device is"):
        measure_on_device(tracker, "board", [candidate(artifact)], QUICK)


def test_another_runtime_is_refused_with_both_versions_named(tracker, offer, artifact_for, tmp_path, monkeypatch):
    offer("board")
    versions = {"apache-tvm": "0.31.2", "apache-tvm-ffi": "0.1.14"}
    artifact = artifact_for(tmp_path / "newer.so", find_target("native"), versions=versions)
    monkeypatch.setattr(Board, "load", lambda *_: pytest.fail("it was uploaded"))
    with pytest.raises(UserError, match=r"compiled with apache-tvm 0\.31\.2, the device runs 0\.27"):
        measure_on_device(tracker, "board", [candidate(artifact)], QUICK)


def test_a_device_that_dies_in_mid_run_is_replaced_by_another(tracker, offer, artifact, monkeypatch):
    servers = [offer("board"), offer("board", wait=False)]
    wait_for_devices(tracker, ["board", "board"])
    told = []
    kill_first_server_in_mid_run(monkeypatch, servers, told)
    (record,) = measure_on_device(tracker, "board", [candidate(artifact)], Plan(repeats=50), told.append)
    assert len(record.samples.samples_ns) == 50
    assert any("was lost" in line and "trying the next one" in line for line in told)


def test_without_another_device_the_loss_is_said(tracker, offer, artifact, monkeypatch):
    told = []
    kill_first_server_in_mid_run(monkeypatch, [offer("board")], told)
    with pytest.raises(UserError, match=r"device 'board' was lost .* no other device has that key"):
        measure_on_device(tracker, "board", [candidate(artifact)], Plan(repeats=50), told.append)


def kill_first_server_in_mid_run(monkeypatch, servers, told):
    """Kill the server that was told of first, with everything that it started, before the tenth sample."""
    calls, time_it = [], LoadedModel.time

    def kill_and_time(model, count):
        calls.append(count)
        if len(calls) == 10:
            port = int(told[0].rsplit(":", 1)[1])
            victim = next(server for server in servers if listens(server.pid, port))
            victim.kill()
            victim.wait()
        return time_it(model, count)

    monkeypatch.setattr(LoadedModel, "time", kill_and_time)


def listens(process, port):
    return any(found.laddr.port == port for found in psutil.Process(process).net_connections() if not found.raddr)


def test_a_key_that_nobody_has_is_named_with_those_that_are_there(tracker, offer, artifact):
    offer("board")
    with pytest.raises(UserError, match=r"key 'bord': .* it knows board"):
        measure_on_device(tracker, "bord", [candidate(artifact)], QUICK)


def test_a_busy_device_is_waited_for_and_no_longer_than_told(tracker, offer, artifact):
    offer("board")
    with (
        Board(tracker_client.request(tracker, "board", 10), 60),
        pytest.raises(UserError, match=r"no device became free within 0\.5 s"),
    ):
        measure_on_device(tracker, "board", [candidate(artifact)], Plan(wait_seconds=0.5))
    (record,) = measure_on_device(tracker, "board", [candidate(artifact)], QUICK)
    assert isinstance(record.samples, Samples)


def test_samples_that_do_not_fit_are_named(tracker, offer, artifact, tmp_path):
    offer("board")
    good = reference_samples.read(reference_samples.beside(artifact))
    (tmp_path / "one.npz").write_bytes(reference_samples.encode(msgspec.structs.replace(good, inputs=good.inputs[:1])))
    with pytest.raises(UserError, match="have 1 inputs; the model takes 2"):
        measure_on_device(tracker, "board", [candidate(artifact, tmp_path / "one.npz")], QUICK)


def test_samples_survive_their_file(artifact, tmp_path):
    samples = reference_samples.read(reference_samples.beside(artifact))
    (tmp_path / "again.npz").write_bytes(reference_samples.encode(samples))
    again = reference_samples.read(tmp_path / "again.npz")
    assert (again.tolerance, again.most_differing) == (samples.tolerance, samples.most_differing)
    for one, other in zip(samples.inputs + samples.expected, again.inputs + again.expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_missing_samples_are_asked_for(artifact, tmp_path):
    with pytest.raises(UserError, match=r"tvm_bnn\.compile' writes it beside"):
        candidate(artifact, tmp_path / "none.npz")
