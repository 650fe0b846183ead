"""What cannot be written is said before the work, not after."""

from pathlib import Path

import pytest

from schedules.errors import UserError
from tvm_bnn.compile import compiler
from tvm_bnn.zoo.digits import DIGITS


@pytest.mark.parametrize("option", ["output", "deploy", "dump_ir"])
def test_outputs_are_tried_before_a_model_is_read(tmp_path, monkeypatch, option):
    monkeypatch.setattr(compiler, "open_model", lambda *_: pytest.fail("it was read"))
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "x", Path("/proc/x/y")):
        with pytest.raises(UserError, match="cannot be written"):
            compiler.compile_model(DIGITS, **{option: place})
    with pytest.raises(UserError, match="is a folder: name a file"):
        compiler.compile_model(DIGITS, output=tmp_path)


def test_the_default_output_is_tried_before_the_passes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.native.so").mkdir()
    monkeypatch.setattr(compiler.steps, "simplify", lambda *_: pytest.fail("it was compiled"))
    with pytest.raises(UserError, match=r"'digits\.native\.so' is a folder"):
        compiler.compile_model(DIGITS)
