import importlib.util

import pytest

from experiments.commands import report as results_command
from experiments.commands import run as run_command
from experiments.commands import train as train_command
from schedules.errors import UserError
from tvm_bnn import lab
from tvm_bnn.command_line.command import INTERRUPTED, Command, dispatch, finish
from tvm_bnn.report import command as report
from tvm_bnn.tune import command as tune


def refuse():
    raise UserError("kettle: it is empty; fill it")


def test_what_the_user_can_mend_is_one_line_and_exit_1(capsys):
    assert finish(refuse, debug=False) == 1
    assert capsys.readouterr() == ("", "error: kettle: it is empty; fill it\n")


def test_debugging_shows_the_traceback():
    with pytest.raises(UserError):
        finish(refuse, debug=True)


def test_a_defect_of_ours_is_one_line_and_a_file_with_the_traceback(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert finish(lambda: 1 // 0, debug=False) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: the command failed: ZeroDivisionError: integer division or modulo by zero; this is a defect of "
        "tvm_bnn: the traceback, for a bug report, is in 'tvm_bnn.error.txt'; --debug shows it here\n"
    )
    assert "Traceback (most recent call last)" in (tmp_path / "tvm_bnn.error.txt").read_text()


def test_a_defect_of_ours_is_raised_as_it_is_for_debugging():
    with pytest.raises(ZeroDivisionError):
        finish(lambda: 1 // 0, debug=True)


def test_ctrl_c_is_no_traceback():
    def interrupted():
        raise KeyboardInterrupt

    assert finish(interrupted, debug=False) == INTERRUPTED


COMMANDS = {"report": Command("tvm_bnn.report.command", "make a page")}


def test_a_command_gets_the_arguments_behind_its_name(capsys):
    with pytest.raises(SystemExit):
        dispatch("tvm-bnn", COMMANDS, ["report", "--help"])
    assert "usage: tvm_bnn.report" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "code"), [([], 2), (["bake"], 2), (["--help"], 0)])
def test_without_a_known_command_there_is_the_list_of_them(words, code, capsys):
    assert dispatch("tvm-bnn", COMMANDS, words) == code
    said = capsys.readouterr()
    assert "  report     make a page" in (said.out if code == 0 else said.err)


@pytest.mark.parametrize(
    ("main", "arguments", "missing", "complaint"),
    [
        (lab.main, [], "torch", "lab: PyTorch is not installed: pip install 'tvm-bnn[torch,rpc]'"),
        (lab.main, [], "tornado", "lab: tornado is not installed: pip install 'tvm-bnn[torch,rpc]'"),
        (tune.main, [], "xgboost", "tune: xgboost is not installed: pip install 'tvm-bnn[torch,tune]'"),
        (tune.main, [], "torch", "tune: PyTorch is not installed: pip install 'tvm-bnn[torch,tune]'"),
        (report.main, ["a.json"], "jinja2", "report: jinja2 is not installed: pip install 'tvm-bnn[report]'"),
        (
            run_command.main,
            ["all", "--default-data"],
            "sklearn",
            "experiments run: scikit-learn is not installed: pip install 'tvm-bnn[experiments]'",
        ),
        (
            train_command.main,
            ["react", "resnet-20", "digits"],
            "torch",
            "experiments train: PyTorch is not installed: pip install 'tvm-bnn[experiments]'",
        ),
        (
            results_command.main,
            [],
            "matplotlib",
            "experiments report: matplotlib is not installed: pip install 'tvm-bnn[experiments]'",
        ),
    ],
)
def test_a_missing_package_is_named_with_its_extra(main, arguments, missing, complaint, monkeypatch, tmp_path, capsys):
    find = importlib.util.find_spec
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else find(name))
    assert main(arguments) == 1
    assert capsys.readouterr().err == f"error: {complaint}\n"
    assert not list(tmp_path.iterdir())


def test_all_that_is_missing_is_named_at_once(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert report.main(["a.json"]) == 1
    assert "jinja2, matplotlib are not installed" in capsys.readouterr().err
