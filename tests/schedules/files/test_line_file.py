"""Lines that are whole are never lost, whatever happens to the file or to who writes it."""

import errno
import json
import multiprocessing
import os

import pytest

from schedules.errors import UserError
from schedules.files.line_file import append, locked, read, replace


def written(path, *values):
    with locked(path.parent):
        append(path, [json.dumps(value).encode() for value in values])


def values(path):
    return [value for _, value in read(path, pytest.fail)]


def test_what_is_appended_is_read(tmp_path):
    path = tmp_path / "log" / "a.jsonl"
    written(path, 1, {"b": 2})
    written(path, [3])
    assert values(path) == [1, {"b": 2}, [3]]


def test_a_file_that_is_not_there_has_no_lines(tmp_path):
    assert values(tmp_path / "a.jsonl") == []


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (b"[" * 5000, "nested too deeply"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested too deeply"),
        (b"[1, 2", "no JSON"),
        (b"", "an empty line"),
        (b"<<<<<<< HEAD", "no JSON"),
        (b"\xff", "no JSON"),
    ],
)
def test_a_broken_line_is_skipped_and_named_and_its_neighbours_stay(tmp_path, broken, why):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n" + broken + b"\n3\n")
    heard = []
    assert [value for _, value in read(path, heard.append)] == [1, 3]
    assert heard == [f"log '{path}', line 2: {why}; skipped"]


def test_a_cut_off_end_is_skipped_by_readers_and_cut_by_the_next_writer(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'1\n{"b": ')
    heard = []
    assert [value for _, value in read(path, heard.append)] == [1]
    assert heard == [f"log '{path}', line 2: cut off; skipped"]
    written(path, 2)
    assert values(path) == [1, 2]


def test_wherever_a_file_is_cut_off_all_lines_before_are_read_and_the_next_writer_goes_on_behind_them(tmp_path):
    path = tmp_path / "a.jsonl"
    whole = b'{"a": [1, 2]}\n"second"\n[3.5, null]\n'
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        heard = []
        left = [value for _, value in read(path, heard.append)]
        assert left == [{"a": [1, 2]}, "second", [3.5, None]][: whole[:size].count(b"\n")]
        assert len(heard) == (not whole[:size].endswith(b"\n") and size > 0)
        written(path, "next")
        assert values(path) == [*left, "next"]


def test_a_full_disk_costs_one_clear_line_and_nothing_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    written(path, 1)
    write = os.pwrite
    calls = []

    def fills_up(descriptor, data, at):
        calls.append(at)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:5], at)

    monkeypatch.setattr(os, "pwrite", fills_up)
    with pytest.raises(UserError, match="No space left on device; nothing of this round was kept"):
        written(path, "a long line", "another")
    assert path.read_bytes() == b"1\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), locked(tmp_path / "file" / "log"):
        pytest.fail("there is no such folder")


def _append_many(path, number):
    for step in range(40):
        written(path, [number, step, "x" * 3000])


def test_two_writers_do_not_cut_into_each_others_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(path, number)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = values(path)
    assert [[value[1] for value in found if value[0] == number] for number in range(2)] == [list(range(40))] * 2


def _replace_and_die(path):
    def die(*_arguments):
        os._exit(1)

    os.fsync = die
    with locked(path.parent):
        replace(path, [b"new"])


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path):
    path = tmp_path / "a.jsonl"
    written(path, 1)
    writer = multiprocessing.get_context("fork").Process(target=_replace_and_die, args=(path,))
    writer.start()
    writer.join()
    assert len(list(tmp_path.iterdir())) == 3
    written(path, 2)
    assert values(path) == [1, 2]
    assert sorted(file.name for file in tmp_path.iterdir()) == [".lock", "a.jsonl"]


def test_replacing_a_file_leaves_no_other_behind(tmp_path):
    path = tmp_path / "a.jsonl"
    written(path, 1, 2)
    with locked(tmp_path):
        replace(path, [b"3"])
    assert values(path) == [3]
    assert sorted(file.name for file in tmp_path.iterdir()) == [".lock", "a.jsonl"]
