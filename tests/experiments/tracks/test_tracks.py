"""The tracks: grids are products, networks are shared, and overall metrics are made of results."""

import dataclasses
import itertools
import math

import msgspec
import pytest

from experiments.binarizers.catalog import FLOAT, PAPER
from experiments.grid.pending import pending
from experiments.grid.run_grid import run_grid
from experiments.tracks import hardware, robustness, training
from experiments.tracks.plan import Plan, algorithms, workloads
from experiments.tracks.result import Cell, Outcome, Result, read
from experiments.tracks.track import TRACKS, find_track
from experiments.training.recipe import Recipe
from schedules.errors import UserError

RECIPE = Recipe(epochs=1, steps=2, batch=16)


def plan(folder, **changes):
    standard = Plan(
        folder=str(folder),
        algorithms=("bnn", "react"),
        workloads=workloads({}, True, ("resnet-20",), False),
        recipe=RECIPE,
        repeats=2,
        test_samples=16,
        corruptions=("fog",),
    )
    return msgspec.structs.replace(standard, **changes)


def results(track, rows):
    """Results of (architecture, algorithm, variant, values)."""
    return [
        Result(cell=Cell(track, "digits", architecture, algorithm, variant), settings="s", outcome=Outcome(values))
        for architecture, algorithm, variant, values in rows
    ]


def test_there_are_six_tracks_with_the_metrics_of_the_paper():
    assert [track.metric for track in TRACKS] == [
        *("OM_task", "OM_arch", "OM_robust"),
        *("OM_train", "OM_comp", "OM_infer"),
    ]


def test_the_paper_has_eight_methods_and_they_are_the_default():
    assert algorithms(()) == PAPER
    assert len(PAPER) == 8


def test_every_modality_has_a_network_by_default(tmp_path):
    everything = workloads({}, True, (), False)
    assert {w.data for w in everything} == {"digits", "scenes", "solids", "reviews", "tones", "portraits"}
    cells = find_track("architecture").cells(plan(tmp_path, workloads=everything))
    assert {cell.architecture for cell in cells} >= {"resnet-20", "vgg-small", "bert-tiny", "pointnet", "dfsmn"}


def test_the_grid_of_a_track_is_a_product(tmp_path):
    cells = find_track("training").cells(plan(tmp_path))
    expected = itertools.product((FLOAT.name, "bnn", "react"), training.VARIANTS)
    assert [(cell.algorithm, cell.variant) for cell in cells] == list(expected)


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="algorithm 'bnnn'"):
        algorithms(("bnnn",))
    with pytest.raises(UserError, match="nothing to run"):
        workloads({}, False, (), False)
    with pytest.raises(UserError, match="data 'cifar'"):
        workloads({"cifar": "/tmp"}, False, (), False)


def test_cells_are_computed_once_and_share_their_networks(tmp_path):
    tracks = [find_track("learning"), find_track("architecture"), find_track("robustness")]
    assert run_grid(plan(tmp_path), tracks) == 0
    found = read(plan(tmp_path).results)
    assert len(found) == 9
    assert len(list((tmp_path / "models").glob("*.pt"))) == 3
    assert run_grid(plan(tmp_path), tracks) == 0
    assert len(read(plan(tmp_path).results)) == 9
    learnt = {r.cell.algorithm: r.outcome.values["score"] for r in found if r.cell.track == "learning"}
    assert {r.cell.algorithm: r.outcome.values["score"] for r in found if r.cell.track == "architecture"} == learnt


def test_a_failed_cell_is_a_result_and_is_tried_again(tmp_path):
    wrong = plan(tmp_path, corrupted=str(tmp_path / "none"), workloads=plan(tmp_path).workloads)
    missing = msgspec.structs.replace(wrong.workloads[0], data="cifar10", folder=str(tmp_path / "absent"))
    wrong = msgspec.structs.replace(wrong, workloads=(missing,), algorithms=())
    assert run_grid(wrong, [find_track("learning")]) == 1
    (result,) = read(wrong.results)
    assert "there is no such folder" in result.failed
    assert pending(wrong, [find_track("learning")]) == ([result.cell], 0)


def test_results_of_another_recipe_are_other_results(tmp_path):
    one = plan(tmp_path)
    other = msgspec.structs.replace(one, recipe=dataclasses.replace(RECIPE, epochs=2))
    assert one.settings != other.settings
    assert one.settings == plan(tmp_path / "elsewhere").settings


def test_the_complexity_and_hardware_tracks_use_the_same_artifact(tmp_path):
    alone = plan(tmp_path, algorithms=("bnn",))
    assert run_grid(alone, [find_track("complexity"), find_track("hardware")]) == 0
    counted, measured = (result.outcome for result in read(alone.results))
    assert len(list((tmp_path / "artifacts").glob("*.so"))) == 1
    assert counted.values["compiled_binary_macs"] == measured.facts["binary_macs"] > 0
    assert len(measured.samples["compiled"].samples_ns) == 2
    assert measured.values["float_latency_ns"] > 0


def test_om_task_leaves_out_what_full_precision_cannot_do():
    rows = [("a", "float", "", {"score": 0.0}), ("a", "bnn", "", {"score": 0.0})]
    overall = find_track("learning").overall(results("learning", rows), "bnn")
    assert overall.value is None
    assert "digits" in overall.note


def test_om_robust_averages_severities_and_names_harmless_corruptions():
    def values(clean, hurt):
        return {"clean": clean, **{f"severity {severity}": hurt for severity in range(1, 6)}}

    rows = [
        ("a", "float", "fog", values(90.0, 80.0)),
        ("a", "bnn", "fog", values(80.0, 60.0)),
        ("a", "float", "snow", values(90.0, 80.0)),
        ("a", "bnn", "snow", values(80.0, 81.0)),
    ]
    overall = robustness.overall(results("robustness", rows), "bnn")
    assert overall.value == pytest.approx(0.5)
    assert "snow" in overall.note


def test_om_train_needs_all_hyper_parameters():
    rows = [
        ("a", name, variant, {"score": 90.0 + index * factor, "train_seconds": seconds})
        for name, factor, seconds in (("float", 1, 10.0), ("bnn", 2, 20.0))
        for index, variant in enumerate(training.VARIANTS)
    ]
    assert training.overall(results("training", rows), "bnn").value == pytest.approx(0.5)
    assert training.overall(results("training", rows[:-1]), "bnn").value is None


def test_om_arch_needs_all_three_kinds():
    rows = [("resnet-20", "float", "", {"score": 80.0}), ("resnet-20", "bnn", "", {"score": 60.0})]
    overall = find_track("architecture").overall(results("architecture", rows), "bnn")
    assert overall == (None, "no results of transformer and mlp architectures")


def test_om_infer_takes_the_fastest_float_engine_and_the_artifact():
    values = {"float_latency_ns": 30.0, "latency_ns": 10.0, "float_bytes": 400.0, "artifact_bytes": 100.0}
    overall = hardware.overall(results("hardware", [("a", "bnn", "", values)]), "bnn")
    assert overall.value == pytest.approx(math.sqrt((9 + 16) / 2))
