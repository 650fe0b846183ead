"""Whoever reads a deployed folder while it is written again sees whole files, old or new."""

import os
import threading

import pytest

from schedules.errors import UserError
from tvm_bnn.deployment.staging import staged


def write(folder, content):
    with staged(folder) as staging:
        for name in ("model.bnn", "lib/libbnn.so"):
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_bytes(content)


def test_files_are_replaced_and_nothing_else_is_left(tmp_path):
    folder = tmp_path / "new" / "deployed"
    write(folder, b"old")
    (folder / "mine").write_bytes(b"kept")
    with (folder / "lib" / "libbnn.so").open("rb") as mapped:
        write(folder, b"new")
        assert mapped.read() == b"old"
    assert sorted(path.name for path in folder.rglob("*")) == ["lib", "libbnn.so", "mine", "model.bnn"]
    assert (folder / "model.bnn").read_bytes() == b"new"


def write_and_fail(folder):
    with staged(folder) as staging:
        (staging / "model.bnn").write_bytes(b"new")
        raise UserError("it disagrees")


def test_a_failure_leaves_the_folder_as_it_was(tmp_path):
    write(tmp_path, b"old")
    with pytest.raises(UserError, match="it disagrees"):
        write_and_fail(tmp_path)
    assert (tmp_path / "model.bnn").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["lib", "model.bnn"]


def test_a_reader_never_sees_a_part(tmp_path):
    contents = {letter * 2_000_000 for letter in (b"a", b"b")}
    write(tmp_path, b"a" * 2_000_000)
    seen, done = set(), threading.Event()

    def read():
        while not done.is_set():
            seen.add((tmp_path / "model.bnn").read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for letter in b"babababa":
        write(tmp_path, bytes([letter]) * 2_000_000)
    done.set()
    reader.join()
    assert seen <= contents
    assert seen


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"folder '.*file/x': cannot be written"), staged(tmp_path / "file" / "x"):
        pytest.fail("there is no such folder")
