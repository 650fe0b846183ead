"""Cells survive a kill at any moment, and the table says what became of them."""

import subprocess
import sys

import pytest

from experiments.parity.__main__ import main
from experiments.parity.records import Cell, append, read
from experiments.parity.table import markdown, text
from schedules.errors import UserError


def cell(**changes):
    known = {"architecture": "net", "binarizer": "bnn", "small": True, "target": "native", "there": 3, "on_bits": 3}
    return Cell(**known | {"samples": 16, "agreeing": 16, "date": "2026-01-01"} | changes)


def test_what_is_appended_is_read(tmp_path):
    path = tmp_path / "records" / "cells.jsonl"
    cells = [cell(), cell(binarizer="xnor", yardstick=12)]
    for one in cells:
        append(path, one)
    assert read(path) == cells


def test_no_file_has_no_cells(tmp_path):
    assert read(tmp_path / "none.jsonl") == []


def test_a_line_that_was_cut_off_is_run_again_and_harms_no_other(tmp_path):
    path = tmp_path / "cells.jsonl"
    append(path, cell())
    whole = path.read_bytes()
    for length in range(len(whole), 2 * len(whole) - 1):
        path.write_bytes((whole + whole)[:length])
        append(path, cell(binarizer="xnor"))
        found = read(path)
        assert found[0] == cell()
        assert found[-1] == cell(binarizer="xnor")


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"record '.*file/cells.jsonl': cannot be written"):
        append(tmp_path / "file" / "cells.jsonl", cell())


def test_a_cell_says_how_many_samples_agree_and_what_is_wrong():
    assert text(cell()) == "16/16"
    assert text(cell(yardstick=16)) == "16/16"
    assert text(cell(agreeing=13, yardstick=5)) == "13/16 (5)"
    assert text(cell(agreeing=2, explained=14, yardstick=16)) == "2+14/16"
    assert text(cell(on_bits=2)) == "16/16, 2 of 3 on bits"
    assert text(cell(message="UserError: a|b")) == "no: UserError: a\\|b"


def test_the_table_has_a_row_for_each_architecture_and_the_last_word_counts():
    cells = [cell(), cell(binarizer="xnor"), cell(architecture="other"), cell(agreeing=15)]
    assert markdown(cells).splitlines() == [
        "| | bnn | xnor |",
        "|---|---|---|",
        "| net | 15/16 | 16/16 |",
        "| other | 16/16 |  |",
    ]


def test_cells_that_are_there_are_not_run_again(tmp_path, capsys):
    path = tmp_path / "cells.jsonl"
    append(path, cell(architecture="resnet-20"))
    assert main("resnet-20", "bnn", record=path) == 0
    assert "| resnet-20 | 16/16 |" in capsys.readouterr().out
    append(path, cell(architecture="resnet-20", on_bits=2))
    assert main("resnet-20", "bnn", record=path) == 1


def test_an_unknown_name_is_one_line(tmp_path, capsys):
    assert main("resnet-21", record=tmp_path / "cells.jsonl") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: architecture 'resnet-21': not known; there are resnet-18,")


def test_help_imports_neither_tvm_nor_pytorch():
    script = (
        "import sys; sys.argv = ['parity', '--help']; import runpy\n"
        "try: runpy.run_module('experiments.parity', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "sys.exit(len({'tvm', 'torch'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"--architecture" in done.stdout
