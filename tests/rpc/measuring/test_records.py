"""Records of devices survive what happens to their file."""

import multiprocessing

import pytest

from rpc.formats.board_facts import BoardFacts
from rpc.measuring.conditions import Conditions
from rpc.measuring.measurement import Samples
from rpc.measuring.records import DeviceRecord
from schedules.errors import UserError
from schedules.files.record_file import append, read


def record(artifact="a.so"):
    return DeviceRecord(
        artifact=artifact,
        artifact_sha256="0" * 64,
        model="m",
        target="rpi4",
        batch=1,
        key="rpi4",
        server="127.0.0.1:9091",
        board=BoardFacts(machine="aarch64"),
        threads=1,
        agreement=None,
        samples=Samples((1.0, 2.0), 3),
        before=Conditions(),
        after=Conditions(temperature_c=40.0),
    )


def test_what_is_appended_is_read(tmp_path):
    path = tmp_path / "results" / "lab.jsonl"
    append(path, [record("a.so"), record("b.so")])
    append(path, [record("c.so")])
    assert [one.artifact for one in read(path, DeviceRecord)] == ["a.so", "b.so", "c.so"]
    assert read(path, DeviceRecord)[0].samples == record().samples


def test_a_writer_that_was_killed_costs_only_its_own_line(tmp_path):
    path = tmp_path / "lab.jsonl"
    append(path, [record("a.so"), record("b.so")])
    path.write_bytes(path.read_bytes()[:-40])
    assert [one.artifact for one in read(path, DeviceRecord)] == ["a.so"]
    append(path, [record("c.so")])
    assert [one.artifact for one in read(path, DeviceRecord)] == ["a.so", "c.so"]


def test_a_line_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "lab.jsonl"
    path.write_text('{"artifact": 1}\n')
    with pytest.raises(UserError, match=r"lab\.jsonl', line 1"):
        read(path, DeviceRecord)
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "none.jsonl", DeviceRecord)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        append(tmp_path / "file" / "lab.jsonl", [record()])


def _append_many(path):
    for _ in range(50):
        append(path, [record()])


def test_several_writers_mix_no_lines(tmp_path):
    path = tmp_path / "lab.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(path,)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(read(path, DeviceRecord)) == 150
