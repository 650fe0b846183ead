"""Files of results survive writers that are killed, and say what is wrong with them."""

import msgspec
import pytest

from schedules.errors import UserError
from schedules.files.record_file import append, read


class Point(msgspec.Struct):
    x: int


def test_what_is_appended_is_read(tmp_path):
    path = tmp_path / "folder" / "points.jsonl"
    append(path, [Point(1), Point(2)])
    append(path, [Point(3)])
    assert [point.x for point in read(path, Point)] == [1, 2, 3]


@pytest.mark.parametrize("cut", range(1, len(b'{"x":2}\n')))
def test_a_line_that_a_kill_cut_short_is_skipped_and_costs_no_other(tmp_path, cut):
    path = tmp_path / "points.jsonl"
    append(path, [Point(1), Point(2)])
    path.write_bytes(path.read_bytes()[:-cut])
    kept = [1, 2] if cut == 1 else [1]
    assert [point.x for point in read(path, Point)] == kept
    append(path, [Point(3)])
    assert [point.x for point in read(path, Point)] == [*kept, 3]


@pytest.mark.parametrize("line", ['{"y": 1}', '{"x": "one"}', "x = 1", "{]}", "[" * 5000])
def test_a_whole_line_that_is_no_record_is_named(tmp_path, line):
    path = tmp_path / "points.jsonl"
    append(path, [Point(1)])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=r"points '.*points\.jsonl', line 2"):
        read(path, Point, "points")


def test_a_file_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(UserError, match=r"record '.*none': cannot be read"):
        read(tmp_path / "none", Point)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"record '.*': cannot be written"):
        append(tmp_path / "file" / "points.jsonl", [Point(1)])
