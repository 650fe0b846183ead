"""``compile --profile``, and ``tvm_bnn.report`` on what it wrote."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tvm_bnn.compile import command as compile_command
from tvm_bnn.report import command as report

ROOT = Path(__file__).parents[3]


def test_a_profiled_compilation_becomes_a_page(tmp_path, capsys):
    output = tmp_path / "digits.so"
    assert compile_command.main(["--profile", "--no-verify", "-o", str(output)]) == 0
    stored = json.loads((tmp_path / "digits.report.json").read_text())
    assert [time["use"]["function"] for time in stored["kernel_times"]] == [
        use["function"] for use in stored["kernels"]
    ]
    assert sum(time["macs"] for time in stored["kernel_times"]) == sum(layer["macs"] for layer in stored["layers"])
    assert all(time["touched_bytes"] > 0 for time in stored["kernel_times"])
    capsys.readouterr()
    assert report.main([str(tmp_path / "digits.report.json"), "-o", str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text()
    assert "bottleneck.expand.0" in text
    assert "compile with <code>--profile</code>" not in text


def test_a_foreign_target_is_not_profiled(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert compile_command.main(["--profile", "--target", "arm"]) == 1
    assert "profile: this machine cannot run what is compiled for 'arm'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, capsys, package):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else name)
    assert report.main([str(tmp_path / "any.json")]) == 1
    assert f"report: {package} is not installed: pip install 'tvm-bnn[report]'" in capsys.readouterr().err


def test_neither_help_nor_the_page_needs_tvm(tmp_path):
    code = (
        "import sys, tvm_bnn.report.page, tvm_bnn.report.command; assert not {'tvm', 'torch'} & sys.modules.keys();"
        "tvm_bnn.report.command.main(['--help'])"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "usage: tvm_bnn.report" in finished.stdout
