"""The command line: quick help, one-line errors, and what a training prints."""

import subprocess
import sys

import msgspec
import pytest
import torch

from experiments.commands import report, run, train

_WITHOUT_LIBRARIES = """
import sys
from experiments.__main__ import main
try:
    main({arguments})
except SystemExit:
    pass
print(sorted({{"torch", "tvm", "sklearn", "matplotlib"}} & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["train", "--help"], ["report", "--help"]])
def test_help_imports_nothing_slow(arguments):
    script = _WITHOUT_LIBRARIES.format(arguments=arguments)
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stderr.splitlines()[-1] == "[]"
    assert "usage" in finished.stdout


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        (run, ["learning"], "nothing to run"),
        (run, ["learning", "--data", "cifar10"], "give NAME=FOLDER"),
        (run, ["all", "--default-data", "--algorithms", "bnnn"], "algorithm 'bnnn'"),
        (run, ["robustness", "--default-data", "--corruptions", "rain"], "corruption 'rain'"),
        (run, ["learning", "--default-data", "--epochs", "0"], "at least 1"),
        (train, ["bnn", "resnet-20", "tones"], "is for image; data 'tones' is audio"),
        (train, ["bnn", "resnet-20", "cifar10"], "say where it lies, cifar10=FOLDER"),
        (report, ["no-such-folder"], "there are none"),
    ],
)
def test_what_is_wrong_is_one_line(command, arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert len(error.splitlines()) == 1


def test_data_sets_are_listed(capsys):
    assert run.main(["all", "--data", "list"]) == 0
    assert "modelnet40       points" in capsys.readouterr().out


def test_a_training_says_what_the_network_and_its_artifact_reach(tmp_path, capsys):
    options = ["--small", "--epochs", "2", "--samples", "256", "--threads", "1", "--output", str(tmp_path)]
    assert train.main(["react", "resnet-20", "digits", *options]) == 0
    said = capsys.readouterr().out.splitlines()
    result = msgspec.json.decode((tmp_path / "result.json").read_bytes())
    assert result["compiled_score"] == pytest.approx(result["score"], abs=1)
    assert result["test_samples"] == 360
    assert "on 360 test samples" in said[0]
    assert (tmp_path / "react.so").exists()


def test_another_recipe_in_the_same_folder_is_another_training(tmp_path):
    def trained(*options):
        small = ["--small", "--epochs", "1", "--samples", "64", "--no-from-float", "--threads", "1"]
        assert train.main(["bnn", "vgg-small", "digits", *small, *options, "--output", str(tmp_path)]) == 0
        result = msgspec.json.decode((tmp_path / "result.json").read_bytes())
        return result, torch.load(tmp_path / result["checkpoint"], weights_only=True)["model"]

    first, weights = trained("--seed", "0")
    second, others = trained("--seed", "7")
    again, same = trained("--seed", "0")
    assert first["checkpoint"] == again["checkpoint"] != second["checkpoint"]
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert any(not torch.equal(weights[name], others[name]) for name in weights)
    assert (first["recipe"]["seed"], second["recipe"]["seed"]) == (0, 7)
