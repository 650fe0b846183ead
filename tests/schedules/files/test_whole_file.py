"""Files as a whole: any that cannot be used is one line, whatever it is."""

import os
import re

import pytest

from schedules.errors import UserError
from schedules.files.whole_file import check_folder, check_writable, read_whole, write_atomically


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("absent", "no such file"),
        ("folder", "is a folder, not a file"),
        ("fifo", "is no regular file"),
        ("loop", "cannot be read (Too many levels of symbolic links)"),
        ("x" * 300, "cannot be read (File name too long)"),
        ("file/below", "cannot be read (Not a directory)"),
        ("large", "at most 1000 are possible"),
    ],
)
def test_what_cannot_be_read_is_named_at_once(tmp_path, name, why):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "large").write_bytes(bytes(1001))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UserError, match=re.escape(why)) as caught:
        read_whole(tmp_path / name, "artifact", 1000)
    assert str(caught.value).startswith(f"artifact '{tmp_path / name}'")
    assert read_whole(tmp_path / "file", "artifact", 1000) == b"content"


def test_what_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        read_whole(tmp_path / "secret", "artifact")


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    path = tmp_path / "kept"
    path.write_text("old")
    with pytest.raises(UserError, match=r"artifact '.*kept': cannot be written \(No space left on device\)"):
        write_atomically(path, b"new", "artifact")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_whether_something_can_be_written_is_found_out_without_a_trace(tmp_path):
    check_writable(tmp_path / "new" / "folder" / "file", "artifact")
    check_folder(tmp_path / "new" / "folder")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("old")
    check_writable(tmp_path / "file", "artifact")
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize(
    ("path", "why"),
    [("", "is a folder: name a file"), ("file/x", "Not a directory"), ("/proc/x", "cannot be written")],
)
def test_where_nothing_can_be_written_is_refused(tmp_path, path, why):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=why):
        check_writable(tmp_path / path, "artifact")


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"folder '.*file': cannot be written \(Not a directory\)"):
        check_folder(tmp_path / "file")
