"""Results are lines that survive a kill, and cells that have one are not computed again."""

import msgspec
import pytest

from experiments.tracks.result import Cell, Outcome, Result, append, latest, read
from schedules.errors import UserError

CELL = Cell("learning", "digits", "resnet-20", "bnn")


def result(cell=CELL, **rest):
    return Result(**{"cell": cell, "settings": "s", "outcome": Outcome({"score": 1.0}), **rest})


def test_results_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "deep" / "results.jsonl"
    written = [result(), result(outcome=None, failed="no reason")]
    for one in written:
        append(path, one)
    assert read(path) == written


def test_a_line_that_was_cut_short_is_left_out_and_spoils_nothing(tmp_path):
    path = tmp_path / "results.jsonl"
    append(path, result())
    whole = path.read_bytes()
    for cut in (1, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole + whole[:cut])
        append(path, result(settings="t"))
        assert [one.settings for one in read(path)] == ["s", "t"], cut


def test_a_line_of_something_else_is_an_error(tmp_path):
    (tmp_path / "results.jsonl").write_text('{"cell": 3}\n')
    with pytest.raises(UserError, match="line 1"):
        read(tmp_path / "results.jsonl")


def test_the_last_result_of_a_cell_counts():
    first, second = result(), result(outcome=None, failed="later")
    other = result(settings="t")
    assert latest([first, second, other], "s") == {CELL: second}


def test_no_file_is_no_result(tmp_path):
    assert read(tmp_path / "none.jsonl") == []


def test_a_cell_is_named_by_what_it_varies():
    assert str(msgspec.structs.replace(CELL, variant="fog")) == "learning / digits / resnet-20 / bnn / fog"
