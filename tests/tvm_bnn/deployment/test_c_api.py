"""The C API: what it refuses and how, threads, memory, and mutants of a model."""

import ctypes
import os
import socket

import numpy as np
import pytest

from rpc.boards import emulation
from schedules.machines import host

MUTANTS = 10_000


def model(compiled):
    return compiled.path.parent / "deployed" / compiled.report.deployed.model


def lines_of(finished):
    assert finished.returncode == 0, finished.stderr or finished.returncode
    return finished.stdout.splitlines()


def test_wrong_calls_get_a_status_and_a_line(native, arm, program):
    if host.machine() == "aarch64":
        pytest.skip("needs a machine other than the other model's")
    lines = lines_of(program("refusals", native, model(native), model(arm)))
    assert "bnn_load: 0 threads; 1 to 256 are possible" in lines
    assert "bnn_load: the program was compiled for ABI 2 of bnn.h, this libbnn has 1" in lines
    assert f"{model(arm)} is for aarch64, this is {host.machine()}" in lines
    assert "/nowhere/at/all.bnn: No such file or directory" in lines
    assert "bnn_run: input 'x' was not set" in lines
    assert "input 'x' has 256 bytes, not 255" in lines
    assert "input 'x' is of type 0x0220, not 0x0020" in lines
    assert "output 7: model 'digits' has 1, counted from 0" in lines


def test_wrong_calls_on_an_emulated_board(native, arm, program):
    missing = emulation.unavailable("aarch64")
    if missing is not None or host.machine() == "aarch64":
        pytest.skip(missing or "no emulation needed")
    assert f"{model(native)} is for {host.machine()}, this is aarch64" in lines_of(
        program("refusals", arm, model(arm), model(native))
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_nothing_is_allocated_after_loading(wide, program, threads):
    while_loading, while_running = map(int, lines_of(program("allocations", wide, model(wide), threads, 20))[0].split())
    assert while_loading > 5, "the counter must see what bnn_load takes"
    assert while_running == 0


def test_that_model_does_borrow_memory_and_share_loops(wide):
    """Otherwise the test above would show little: where no kernel calls back, the description has no place for it."""
    description = (ctypes.c_void_p * 12).in_dll(ctypes.CDLL(str(model(wide))), "bnn_description")
    assert all(description[place] is not None for place in (8, 9, 10))


@pytest.mark.parametrize("threads", [1, 2])
def test_several_threads_with_a_model_each(wide, program, threads, tmp_path):
    outputs = tmp_path / "outputs"
    assert lines_of(program("together", wide, model(wide), threads, outputs)) == []
    values = np.frombuffer(outputs.read_bytes(), np.float32).reshape(25, 64)
    np.testing.assert_allclose(values.sum(1), 1, rtol=1e-5)
    assert len(np.unique(values, axis=0)) > 1


def test_ten_thousand_mutants_are_refused(native, program, tmp_path):
    damaged, otherwise = map(
        int, lines_of(program("mutants", native, model(native), tmp_path / "mutant.bnn", MUTANTS))[0].split()
    )
    assert damaged > MUTANTS * 0.99
    assert otherwise == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_a_child_of_fork_answers_and_gives_the_model_back(wide, program, threads):
    assert lines_of(program("forks", wide, model(wide), threads)) == []


def test_whose_descriptors_were_closed_gets_no_other_model_and_loses_no_file(native, wide, program):
    """Daemons close all they have, and the loader knows libraries by name: the number of a file is none to know by."""
    assert lines_of(program("closes", native, model(native), model(wide))) == []


def test_what_is_no_file_is_refused_at_once(native, program, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        paths = [tmp_path / "fifo", tmp_path / "socket", "/dev/zero", "/dev/tty", "/dev/ptmx", "/proc/kmsg", tmp_path]
        lines = lines_of(program("opens", native, *paths))
    assert [line.split()[0] for line in lines[:3]] == ["2", "2", "2"]
    assert all(line.endswith("no regular file") for line in lines[:3])
    assert len(lines) == len(paths)
    assert all(line[0] in "23" for line in lines)


def test_files_larger_than_any_model_are_refused_without_reading_them(native, program, tmp_path):
    for name, size in (("large", 1 << 40), ("sparse", 2_000_000_000)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    large, sparse = lines_of(program("opens", native, tmp_path / "large", tmp_path / "sparse"))
    assert large == f"3 {tmp_path / 'large'} is no deployed model: it is larger than 2 GB"
    assert sparse == f"3 {tmp_path / 'sparse'} is no deployed model, or was cut short"


@pytest.mark.parametrize("length", [200, 240, 300, 4000, 6000])
def test_of_a_long_path_the_reason_is_there_first(native, program, length):
    path = "/nowhere" + "/folder" * 1000
    path = path[: length - 10] + "/model.bnn"
    (line,) = lines_of(program("opens", native, path))
    reason = "File name too long" if length > 4096 else "No such file or directory"
    assert line == f"2 {path}: {reason}" if length < 230 else line.startswith(f"2 {reason}: ...")
    assert line.endswith("/model.bnn") or line.endswith(reason)
    assert len(line) <= 2 + 255


def test_a_path_cannot_break_the_line(native, program, tmp_path):
    (line,) = lines_of(program("opens", native, tmp_path / "a\nb\033[31mc\r"))
    assert line.endswith("/a?b?[31mc?: No such file or directory")
