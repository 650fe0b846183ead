import json
import shutil
import subprocess
import sys

import pytest

from schedules.machines import host
from schedules.tuned.tuning_log import best, verdicts
from tvm_bnn.compile import command as compile_command
from tvm_bnn.tune import command as tune_command
from tvm_bnn.tune.logs.log_command import main as log_main
from tvm_bnn.tune.searching.database import entries


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Return a log with a round of the embedded model."""
    if host.machine() != "x86_64":
        pytest.skip("tunes for x86")
    folder = tmp_path_factory.mktemp("tuning")
    assert tune_command.main(["--target", "x86-64", "--trials", "4", "--log", str(folder)]) == 0
    return folder


def test_a_compilation_takes_the_log_and_says_so(log, tmp_path, capsys):
    arguments = ["--target", "x86-64", "--log", str(log), "-o", str(tmp_path / "a.so"), "--no-verify"]
    assert compile_command.main([*arguments, "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {layer["schedule"] for layer in report["layers"]} == {"log"}
    assert {kernel["schedule"] for kernel in report["kernels"] if kernel["choice"].startswith("b")} == {"log"}


def test_the_same_command_again_prints_what_is_known(log, capsys):
    assert tune_command.main(["--target", "x86-64", "--trials", "4", "--log", str(log)]) == 0
    said = capsys.readouterr()
    assert "all layers:" in said.out
    assert "trials:" not in said.err


def test_a_log_is_shown_exported_merged_and_pruned(log, tmp_path, capsys):
    small = tmp_path / "small"
    for arguments in (["show", log], ["best", log], ["export", log, small], ["merge", log, small], ["prune", small]):
        assert log_main([str(argument) for argument in arguments]) == 0
    said = capsys.readouterr().out
    assert "4 measurements and 0 verdicts added" in said
    assert "4 measurements and " in said
    assert {path.name for path in small.iterdir()} == {"x86-64"}


def test_a_log_that_is_not_there_is_named(tmp_path, capsys):
    assert log_main(["show", str(tmp_path / "none")]) == 1
    assert compile_command.main(["--log", str(tmp_path / "none")]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.startswith("error: log '") for line in errors] == [True, True]


@pytest.mark.parametrize("command", ["show", "best", "prune"])
def test_a_folder_that_is_no_log_is_refused_with_what_it_is(command, log, tmp_path, capsys):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "file", tmp_path / "empty", log / "x86-64"):
        assert log_main([command, str(place)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.rpartition("': ")[2] for line in errors] == [
        "not a folder; tvm_bnn.tune makes one",
        "holds no target; tvm_bnn.tune makes one",
        f"the folder of one target; name the one that it is in, '{log}'",
    ]


@pytest.mark.parametrize("command", ["merge", "export"])
def test_a_log_is_not_written_into_itself(command, log, capsys):
    before = {path: path.read_bytes() for path in (log / "x86-64").iterdir()}
    assert log_main([command, str(log), f"{log}/../{log.name}"]) == 1
    assert "the same as" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (log / "x86-64").iterdir()} == before


def test_lines_that_are_none_are_named_dropped_and_cost_no_neighbours(log, tmp_path, capsys):
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    shutil.copytree(log, broken)
    for name in ("database_tuning_record.json", "database_workload.json", "verdicts.jsonl", "sessions.jsonl"):
        path = broken / "x86-64" / name
        lines = [b"<<<<<<< HEAD", b"[0,[]]", b'{"a": 1}', b"\xff"]
        path.write_bytes(path.read_bytes() + b"\n".join(lines) + b'\n[0, "cut')
    for command in (["show", broken], ["best", broken], ["merge", broken, whole], ["prune", broken], ["show", broken]):
        assert log_main([str(argument) for argument in command]) == 0
    said = capsys.readouterr()
    assert "4 measurements and " in said.out
    assert all(line.startswith("warning: log '") for line in said.err.splitlines())
    for folder in (broken, whole):
        assert len(entries(folder / "x86-64", pytest.fail)) == 4
        assert best(verdicts(folder / "x86-64", pytest.fail)) == best(verdicts(log / "x86-64", pytest.fail))


def test_an_unknown_benchmark_is_refused(capsys):
    assert tune_command.main(["bench:no-such-network", "--target", "x86-64"]) == 1
    assert "the benchmark has layers, " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["log", "--help"], ["rank", "--help"], ["compare", "--help"]])
def test_help_does_not_import_tvm(arguments):
    script = (
        "import sys, tvm_bnn.tune.command\n"
        "try:\n    tvm_bnn.tune.command.main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert 'tvm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, stdout=subprocess.DEVNULL)


def test_an_emulated_board_times_nothing(tmp_path, capsys):
    log = tmp_path / "tuning"
    assert tune_command.main(["--target", "rpi4", "--device", "emulated-rpi4", "--log", str(log)]) == 1
    assert "device 'emulated-rpi4': times of an emulated board say nothing" in capsys.readouterr().err
    assert not log.exists()
