import json
import multiprocessing

import pytest

from schedules.errors import UserError
from schedules.files.record_file import append, read
from tvm_bnn.bench.records import PROTOCOL, Record


def test_what_is_appended_can_be_read(tmp_path, record):
    records = [record(), record(system="peer", us=None, skipped="not installed"), record(part="conv1", facts={"n": 1})]
    path = tmp_path / "new folder" / "results.jsonl"
    append(path, records[:1])
    append(path, records[1:])
    assert read(path, Record) == records


def test_a_line_tells_everything(tmp_path, record):
    append(tmp_path / "results.jsonl", [record()])
    (line,) = (tmp_path / "results.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert told["samples"]["samples_ns"] == [100000.0, 101000.0, 99000.0]
    assert told["protocol"] == PROTOCOL
    assert told["machine"].keys() >= {"cpu", "flags", "cores", "kernel", "libc", "governor"}


def test_facts_about_this_machine_come_by_themselves():
    made = Record(suite="micro", case="binary", system="loop")
    assert made.machine.cores >= 1
    assert made.machine.architecture
    assert {"tvm_bnn", "python", "apache-tvm"} <= made.versions.keys()
    assert made.date.endswith("+00:00")


def test_processes_do_not_write_into_each_others_lines(tmp_path, record):
    path = tmp_path / "results.jsonl"
    big = record(us=[100.0] * 500)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append, args=(path, [big] * 40)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert read(path, Record) == [big] * 120


def test_rates_follow_from_the_median(record):
    assert record(us=(50.0, 100.0, 1000.0), work=1e8).rate == pytest.approx(1000.0)
    assert record(us=None).rate is None
    assert record(work=0).rate is None


@pytest.mark.parametrize("content", ["{]}", '{"suite": 1}', "\x00"])
def test_a_damaged_line_is_named(tmp_path, content):
    path = tmp_path / "results.jsonl"
    path.write_text(content + "\n")
    with pytest.raises(UserError, match="line 1") as caught:
        read(path, Record)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_or_read_is_named(tmp_path, record):
    for action in (lambda: append(tmp_path, [record()]), lambda: read(tmp_path / "none", Record)):
        with pytest.raises(UserError, match=r"^record '.*': cannot be (written|read)"):
            action()
