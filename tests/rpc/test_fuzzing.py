"""Some hostile calls of every kind, as ``python -m tests.rpc.fuzzing`` sends them for as long as it is told to."""

import pytest

from tests.rpc.fuzzing import SECRET, TARGETS, FoundError, fuzz

CALLS = 150


@pytest.mark.parametrize("secret", [b"", SECRET], ids=["plain", "secret"])
@pytest.mark.parametrize("target", TARGETS)
def test_what_nobody_should_send_is_lived_through(target, secret):
    assert fuzz(target, seed=20, calls=CALLS, seconds=600, secret=secret) == CALLS


def test_a_server_that_died_is_found(monkeypatch):
    def kill(place, _rng):
        place.server.kill()
        place.server.wait()
        yield

    monkeypatch.setitem(TARGETS, "dying", ("libbnn", kill))
    with pytest.raises(FoundError, match="the server ended with -9"):
        fuzz("dying", seed=0, calls=1, seconds=60)
