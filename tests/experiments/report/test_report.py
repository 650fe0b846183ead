"""The report holds what the results say, needs no other file, and says what is missing."""

import re

import pytest

from experiments.commands import report
from experiments.report import content
from experiments.report.pages import pages
from experiments.tracks import training
from experiments.tracks.result import Cell, Outcome, Result, append
from rpc.measuring.measurement import Samples


def result(track, architecture, algorithm, values, variant="", facts=None, data="digits"):
    outcome = Outcome(values, {"compiled": Samples((1.0, 2.0), 1)} if track == "hardware" else {}, facts or {})
    return Result(cell=Cell(track, data, architecture, algorithm, variant), settings="s", outcome=outcome)


def complete():
    """One network of each kind and two methods, in all six tracks."""
    made = []
    severities = {f"severity {n}": 50.0 - n for n in range(1, 6)}
    for shift, method in enumerate(("float", "bnn", "react")):
        score = {"score": 90.0 - 10 * shift, "train_seconds": 2.0 + shift}
        for network in ("resnet-20", "bert-tiny", "dfsmn"):
            facts = {"metric": "accuracy"}
            made.append(result("learning", network, method, score, facts=facts, data=f"data of {network}"))
            made.append(result("architecture", network, method, score, facts=facts))
        made.append(result("robustness", "resnet-20", method, {"clean": score["score"], **severities}, "fog"))
        for number, variant in enumerate(training.VARIANTS):
            values = {"score": score["score"] + number * (1 + shift), "train_seconds": 3.0}
            made.append(result("training", "resnet-20", method, values, variant))
        if method == "float":
            continue
        counted = {"r_c": 30.0, "r_s": 20.0, "macs": 4e7, "binary_macs": 3.9e7, "compiled_macs": 1e6}
        counted |= {"compiled_binary_macs": 9e5, "compiled_bytes": 1e3, "float_weight_bytes": 2e4}
        made.append(result("complexity", "resnet-20", method, counted, facts={"binary_layers": 5, "layers": 7}))
        times = {"latency_ns": 7e3, "float_latency_ns": 7e4, "float_bytes": 4e5, "artifact_bytes": 1e5}
        said = {"float_engine": "PyTorch", "parity": "16 of 16", "device": "a <CPU>"}
        made.append(result("hardware", "resnet-20", method, times | score, "this machine", said))
    return made


def test_all_six_tracks_have_an_overall_metric_and_a_table():
    metrics = content.overall_metrics(complete())
    assert all(overall.value is not None for of in metrics.values() for overall in of.values())
    assert list(metrics) == ["bnn", "react"]
    assert all(tables for tables in content.tables(complete()).values())
    (row, _) = content.summary(metrics).rows
    assert row[0] == "bnn"
    assert row[6] == "7.62"  # √((10² + 4²) / 2)


def test_the_page_stands_alone_and_shows_four_figures():
    page, text = pages(complete())
    assert page.count("<svg") == 4
    assert not re.search(r"<(script|link|img)\b|src=|url\(http", page)
    assert "a &lt;CPU&gt;" in page
    assert "a <CPU>" in text


@pytest.mark.parametrize("what", ["OM_task", "ModelNet40", "70.0", "10x", "16 of 16"])
def test_page_and_markdown_say_the_same(what):
    assert all(what in page for page in pages(complete()))


def test_the_same_results_give_the_same_page():
    made = complete()
    assert pages(made) == pages(made)


def test_markdown_tables_have_a_line_for_each_row():
    text = pages(complete())[1]
    assert "\n| bnn | " in text
    assert "|---|---|" in text
    assert "|| " not in text


def test_a_half_run_makes_a_report_that_says_what_is_missing():
    made = [one for one in complete() if one.cell.track in {"learning", "robustness"}]
    failed = Result(cell=Cell("learning", "scenes", "ssd300", "bnn"), settings="s", failed="no such folder")
    page, text = pages([*made, failed])
    for written in (page, text):
        assert "ssd300 / bnn: no such folder" in written
        assert "No results yet" in written
        assert "no results of cnn and transformer and mlp" in written


def test_the_command_writes_both_files_of_the_latest_settings(tmp_path, capsys):
    for one in complete():
        append(tmp_path / "results.jsonl", one)
    assert report.main([str(tmp_path)]) == 0
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert str(tmp_path / "report.md") in capsys.readouterr().out
