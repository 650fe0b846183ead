import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tvm_bnn.command_line import cli
from tvm_bnn.compile import command as compile  # noqa: A004  (the command is called that)

ROOT = Path(__file__).parents[3]


def run_module(*arguments, cwd, module="tvm_bnn.compile"):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_default_run_compiles_the_embedded_network_here(tmp_path):
    finished = run_module(cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["digits.native.report.json", "digits.native.samples.npz", "digits.native.so"]
    for text in (
        "blocks.0.body.0",
        "7 of 9 layers",
        "360 of 360 samples",
        "same prediction for 100.00%",
        "against PyTorch float",
    ):
        assert text in finished.stdout
    assert "generating code" in finished.stderr
    assert "generating code" not in finished.stdout


def test_json_on_stdout_is_the_stored_report(tmp_path, capsys):
    output = tmp_path / "d.so"
    assert compile.main(["--format", "json", "-o", str(output)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(output.with_suffix(".report.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["absent.pt2"], "error: model 'absent.pt2': no such file"),
        (["--target", "toaster"], "error: target 'toaster' is not known"),
        (["--inputs", "absent.npz"], "error: inputs 'absent.npz': no such file"),
        (
            ["--target", "rpi4", "--float-layers", "bf16"],
            "error: float layers in 'bf16': target 'rpi4' has no instruction that multiplies it",
        ),
    ],
)
def test_errors_are_one_line_on_stderr_and_exit_1(tmp_path, monkeypatch, capsys, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    assert compile.main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert lines[0].startswith(complaint)
    assert not list(tmp_path.iterdir())


def test_a_missing_pytorch_is_named_with_its_extra(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else name)
    assert compile.main([]) == 1
    assert capsys.readouterr().err == "error: compile: PyTorch is not installed: pip install 'tvm-bnn[torch]'\n"


def test_a_wrong_command_line_exits_2(tmp_path):
    finished = run_module("--tarket", "native", cwd=tmp_path)
    assert finished.returncode == 2


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.zeros((4, 1, 8, 9), np.float32), "shape (4, 1, 8, 9) for 'x'; expected (N, 1, 8, 8)"),
        (np.zeros((4, 1, 8, 8), np.float64), "dtype float64 for 'x'; expected float32"),
        (np.zeros((0, 1, 8, 8), np.float32), "different numbers of batches, or none"),
    ],
)
def test_inputs_that_do_not_fit_the_model(tmp_path, capsys, array, complaint):
    np.save(tmp_path / "inputs.npy", array)
    assert compile.main(["--inputs", str(tmp_path / "inputs.npy"), "-o", str(tmp_path / "d.so")]) == 1
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "d.so").exists()


def test_real_inputs_and_labels_are_reported(tmp_path, capsys):
    np.savez(tmp_path / "mine.npz", x=np.zeros((3, 1, 8, 8), np.float32), labels=np.zeros(3, np.uint8))
    assert compile.main(["--inputs", str(tmp_path / "mine.npz"), "-o", str(tmp_path / "d.so"), "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["parity"]["inputs"], report["parity"]["samples"]) == ("mine.npz", 3)
    assert report["accuracy"] in (0, 1)


def test_targets_are_listed_without_tvm(tmp_path):
    code = (
        "import sys, tvm_bnn.compile.command; assert tvm_bnn.compile.command.main(['--target', 'list']) == 0;"
        "assert not {'tvm', 'torch'} & sys.modules.keys()"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    for name in ("native", "x86-avx2", "x86-avx512", "arm", "rpi3", "rpi4", "rpi5", "pixel1", "neoverse-n1"):
        assert f"\n{name} " in f"\n{finished.stdout}"


@pytest.mark.parametrize("folder", ["rpc", "schedules", "relay_passes", "experiments"])
def test_a_folder_of_the_users_that_hides_ours_is_named_in_one_line(tmp_path, folder):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "__init__.py").touch()
    finished = run_module("--target", "list", cwd=tmp_path)
    assert finished.returncode == 1
    (line,) = finished.stderr.strip().splitlines()
    assert f"{tmp_path / folder} hides tvm_bnn's own package '{folder}'" in line


def test_a_plain_folder_of_that_name_does_no_harm(tmp_path):
    (tmp_path / "rpc").mkdir()
    (tmp_path / "rpc" / "notes.txt").touch()
    assert run_module("--target", "list", cwd=tmp_path).returncode == 0


def test_the_console_script_hands_over_to_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tvm-bnn", "compile", "--target", "list"])
    assert cli.main() == 0
    assert "rpi4" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["tvm-bnn", "bake"])
    assert cli.main() == 2
    assert "usage: tvm-bnn COMMAND" in capsys.readouterr().err


def test_a_stage_that_is_interrupted_leaves_no_artifact(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tvm_bnn.compile", "-o", str(tmp_path / "d.so")],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(3)
    process.kill()
    process.wait()
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".so" and path.stat().st_size < 10_000]
