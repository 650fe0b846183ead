import json
import subprocess
import sys
from pathlib import Path

import pytest

from schedules.files.record_file import read
from tvm_bnn.bench import command as bench
from tvm_bnn.bench.records import Record

ROOT = Path(__file__).parents[3]


def test_help_needs_neither_tvm_nor_torch():
    code = (
        "import sys, tvm_bnn.bench.command\n"
        "try: tvm_bnn.bench.command.main(['--help'])\n"
        "except SystemExit: assert not {'tvm', 'torch', 'openvino', 'onnxruntime'} & sys.modules.keys()\n"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "--record" in finished.stdout


def test_a_missing_pytorch_is_named_with_its_extra(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else name)
    assert bench.main(["networks"]) == 1
    assert capsys.readouterr().err == "error: bench networks: PyTorch is not installed: pip install 'tvm-bnn[bench]'\n"


def test_limits_are_printed_and_recorded(tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    assert bench.main(["micro", "--only", "binary", "--repeats", "2", "--record", str(path)]) == 0
    assert "GMAC/s" in capsys.readouterr().out
    recorded = read(path, Record)
    assert {record.case for record in recorded} == {"binary"}


def test_json_is_the_records(tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    options = ["--only", "float32", "--repeats", "2", "--format", "json", "--record", str(path)]
    assert bench.main(["micro", *options]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["layers", "--target", "pdp11"], "target 'pdp11' is not known"),
        (["layers", "--target", '{"kind": "cuda"}'], "only 'llvm' (CPUs)"),
        (["micro", "--only", "abacus"], "no case of micro has that in its name"),
        (["layers", "--only", "abacus"], "no case of layers has that in its name"),
        (["networks", "--only", "abacus"], "no case of networks has that in its name"),
        (["layers", "--log", "/no/such/log"], "log '/no/such/log': no such folder; 'python -m tvm_bnn.tune MODEL"),
        (["micro", "--threads", "0"], "must be at least 1"),
        (["micro", "--only", "portable", "--record", "/dev/null/results"], "cannot be written"),
    ],
)
def test_what_goes_wrong_is_one_line(arguments, text, capsys):
    assert bench.main([*arguments, "--repeats", "1"] if "--threads" not in arguments else arguments) == 1
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("error: ")
    assert text in line


def test_a_board_is_not_benchmarked_from_afar(capsys):
    foreign = "rpi4" if bench.Options().target == "native" and sys.platform == "linux" else "x86-avx2"
    from schedules.machines import host

    if host.machine() == "aarch64":
        foreign = "x86-avx2"
    assert bench.main(["networks", "--target", foreign]) == 1
    assert "run the benchmark on the device" in capsys.readouterr().err
