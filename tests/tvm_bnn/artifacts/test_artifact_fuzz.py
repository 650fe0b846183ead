"""No mutation of an artifact is served as one, and none gets more than its one line."""

import random

import pytest

from schedules.errors import UserError
from tvm_bnn.artifacts.artifact import read_artifact

MUTANTS = 10_000


def flipped(data, rng):
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def cut(data, rng):
    return data[: rng.randrange(len(data))]


def beheaded(data, rng):
    return data[rng.randrange(1, len(data)) :]


def zeroed(data, rng):
    at, length = rng.randrange(len(data)), rng.randrange(1, 4096)
    return data[:at] + bytes(len(data[at : at + length])) + data[at + length :]


def doubled(data, rng):
    at, length = rng.randrange(len(data)), rng.randrange(1, 4096)
    return data[: at + length] + data[at:]


def bent_at_the_end(data, rng):
    """The manifest, the zip's tables and the hash are the last few kilobytes: most mutants should meet them."""
    at = len(data) - rng.randrange(1, 3000)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


KINDS = [flipped, cut, beheaded, zeroed, doubled, bent_at_the_end, bent_at_the_end]


def test_ten_thousand_mutants_are_refused_in_one_line_each(digits, tmp_path):
    rng = random.Random(0)
    original = digits.path.read_bytes()
    path = tmp_path / "mutant.so"
    refused = 0
    for number in range(MUTANTS):
        mutant = KINDS[number % len(KINDS)](original, rng)
        if mutant == original:
            continue
        path.write_bytes(mutant)
        with pytest.raises(UserError) as caught:
            read_artifact(path)
        assert "\n" not in str(caught.value)
        refused += 1
    assert refused > MUTANTS * 0.99


def test_the_original_is_accepted(digits):
    manifest, library = read_artifact(digits.path)
    assert len(library) == manifest.library_bytes
