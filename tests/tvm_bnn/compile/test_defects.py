"""What nobody foresaw in a compilation is one line, with the stage and the layer, and a file beside the artifact."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from relay_passes.rewrite import op_name
from relay_passes.simplify.fold_constants import _Fold
from schedules.errors import UserError
from tvm_bnn.command_line.native_stderr import without_warnings_of_tvm
from tvm_bnn.compile import finishing
from tvm_bnn.compile.compiler import compile_model


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(32, 10, bias=False)

    def forward(self, x):
        return nn.functional.linear(x.sign(), self.fc.weight.sign())


def complaint(tmp_path):
    with pytest.raises(UserError) as caught:
        compile_model(Net(), (torch.randn(2, 32),), output=tmp_path / "net.so")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_defect_in_a_pass_names_stage_pass_and_layer(tmp_path, monkeypatch):
    def broken(_self, node):
        if op_name(node) == "relax.matmul":
            raise KeyError("a rule\nof two lines")
        return node

    monkeypatch.setattr(_Fold, "call", broken)
    text = complaint(tmp_path)
    assert text.startswith("simplifying failed in pass fold_constants at layer 'fc': KeyError: ")
    report = tmp_path / "net.error.txt"
    assert f"the traceback, for a bug report, is in '{report}'" in text
    written = report.read_text()
    assert "Traceback (most recent call last)" in written
    assert "packages: " in written
    assert not (tmp_path / "net.so").exists()


def test_a_defect_while_writing_is_one_too(tmp_path, monkeypatch):
    monkeypatch.setattr(finishing, "write", lambda *_: 1 // 0)
    assert complaint(tmp_path).startswith("writing the artifact and its report failed: ZeroDivisionError")


def test_a_report_that_cannot_be_written_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr(finishing, "write", lambda *_: 1 // 0)
    (tmp_path / "net.error.txt").mkdir()
    assert "the traceback could not be written to" in complaint(tmp_path)


WARNING = "[01:48:22] /project/src/relax/ir/block_builder.cc:67: Warning: BlockBuilder destroyed with remaining blocks!"


def test_warnings_of_tvm_are_left_out_and_all_else_is_not(capfd):
    with without_warnings_of_tvm():
        os.write(2, f"{WARNING}\nwhat the linker says\n".encode())
        print("progress", file=sys.stderr)
    print("after", file=sys.stderr)
    err = capfd.readouterr().err
    assert WARNING not in err
    assert "what the linker says\n" in err
    assert "progress\n" in err
    assert err.endswith("after\n")


def test_progress_is_shown_while_tvm_is_kept_quiet():
    code = (
        "import os, sys\n"
        "from tvm_bnn.command_line.native_stderr import without_warnings_of_tvm\n"
        "with without_warnings_of_tvm():\n"
        f"    os.write(2, b'{WARNING}\\nlate\\n'); print('early', file=sys.stderr)\n"
        "print('end', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "early\nlate\nend\n"
