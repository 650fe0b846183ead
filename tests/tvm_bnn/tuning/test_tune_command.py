import json
import subprocess
import sys

import pytest

from schedules import host
from tvm_bnn import compile as compile_command
from tvm_bnn import tune as tune_command
from tvm_bnn.tuning.log_command import main as log_main


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


def test_an_unknown_benchmark_is_refused(capsys):
    assert tune_command.main(["bench:no-such-network", "--target", "x86-64"]) == 1
    assert "the benchmark has layers, " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["log", "--help"], ["rank", "--help"], ["compare", "--help"]])
def test_help_does_not_import_tvm(arguments):
    script = (
        "import sys, tvm_bnn.tune\n"
        "try:\n    tvm_bnn.tune.main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert 'tvm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, stdout=subprocess.DEVNULL)


def test_an_emulated_board_times_nothing(tmp_path, capsys):
    log = tmp_path / "tuning"
    assert tune_command.main(["--target", "rpi4", "--device", "emulated-rpi4", "--log", str(log)]) == 1
    assert "device 'emulated-rpi4': times of an emulated board say nothing" in capsys.readouterr().err
    assert not log.exists()
