"""Commands that train or compile, in a process that has no PyTorch: one line, which says what to install."""

import subprocess
import sys

import pytest

PROGRAM = """
import importlib.abc, importlib.util, runpy, sys

class NoTorch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoTorch())
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "torch" else find(name, package)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("arguments", "user", "extra"),
    [
        (["experiments.digits"], "experiments.digits", "experiments"),
        (["experiments.families"], "experiments.families", "torch"),
        (["experiments.parity"], "experiments.parity", "torch"),
        (["experiments", "train", "bnn", "resnet-20", "digits"], "experiments train", "experiments"),
    ],
)
def test_a_missing_pytorch_is_named_in_one_line(arguments, user, extra, tmp_path):
    command = [sys.executable, "-c", PROGRAM, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.stderr == f"error: {user}: PyTorch is not installed: pip install 'tvm-bnn[{extra}]'\n"
    assert (run.returncode, run.stdout) == (1, "")
    assert not list(tmp_path.iterdir())
