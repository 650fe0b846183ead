"""What is executed inside a library, told apart from everything around it."""

from collections import Counter

import numpy as np
import pytest

from rpc.boards import instruction_counts
from rpc.boards.instruction_counts import Block, executed_inside, parse
from schedules.errors import UserError
from schedules.machines import host

CODE = bytes(range(64))
LIBRARY = b"\x7fELF" * 25 + CODE + bytes(100)
CODE_OFFSET = 100


def word(index):
    return int.from_bytes(CODE[4 * index : 4 * index + 4], "little")


def test_a_file_of_counts_is_read():
    assert parse("1000 3 20585a4e\nff 18446744073709551615 00\n") == [
        Block(0x1000, 3, b"\x20\x58\x5a\x4e"),
        Block(0xFF, 2**64 - 1, b"\x00"),
    ]


def test_blocks_are_counted_wherever_the_library_was_loaded():
    base = 0x7F0000000000 + CODE_OFFSET
    whole, tail, elsewhere = Block(base, 2, CODE), Block(base + 60, 5, CODE[60:]), Block(0x1000, 9, CODE[60:])
    found = executed_inside([elsewhere, tail, whole], LIBRARY)
    assert found == Counter({word(index): 2 for index in range(15)} | {word(15): 7})


def test_a_library_that_was_never_entered_executed_nothing():
    assert executed_inside([Block(0x1000, 9, b"\x01" * 64)], LIBRARY).total() == 0


def test_what_is_missing_is_one_line_that_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.which", lambda _program: None)
    machine = "aarch64" if host.machine() != "aarch64" else "x86_64"
    with pytest.raises(UserError, match="apt-get install qemu-user ") as caught:
        instruction_counts.count(tmp_path / "x.so", machine, None, [np.zeros(1)])
    assert "\n" not in str(caught.value)


def test_an_emulator_without_plugins_is_no_help(monkeypatch):
    if instruction_counts.unavailable("aarch64") is not None:
        pytest.skip("needs the emulator")
    monkeypatch.setattr("rpc.boards.emulation.emulator", lambda _machine: ["echo", "-cpu model"])
    assert "qemu-user-static takes no plugins" in str(instruction_counts.unavailable("aarch64"))
