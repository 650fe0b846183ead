"""A tuner that is killed at any moment leaves a log that loads, with every round that was finished."""

import os
import signal
import time

import numpy as np
import pytest

from schedules.isa import AVX512_VPOPCNTDQ
from schedules.tuning_log import verdicts
from tvm_bnn.tuning.database import entries
from tvm_bnn.tuning.session import tune


@pytest.fixture
def task(make_task):
    """A layer with a space of some hundred schedules, none of which is ever run."""
    return make_task(48, 384, isa=AVX512_VPOPCNTDQ)


def tune_and_tell(task, runner, plan, told):
    """Tune in a child process; write a byte after every round that is finished."""
    process = os.fork()
    if process == 0:
        try:
            tune([task], runner, plan, {}, lambda seen: os.write(told, bytes([seen.measured])), lambda _message: None)
        finally:
            os._exit(0)
    return process


def kill_after(seconds, task, runner, plan):
    """Return how many trials were finished when the tuner was killed."""
    reader, writer = os.pipe()
    process = tune_and_tell(task, runner, plan, writer)
    os.close(writer)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    finished = os.read(reader, 1 << 16)
    os.close(reader)
    return sum(finished)


def kill_often(times, task, pretended, plan):
    rng = np.random.default_rng(0)
    heard = []
    most = 0
    for _ in range(times):
        # A run has little to do: some end by themselves, are settled, and the next one goes on from there.
        longer = type(plan)(plan.target, plan.folder, most + 16)
        finished = kill_after(float(rng.uniform(0.05, 1.5)), task, pretended(), longer)
        logged = entries(plan.folder, heard.append)
        keys = [entry.key for entry in logged]
        assert len(keys) >= most + finished
        assert len(set(keys)) == len(keys)
        verdicts(plan.folder, heard.append)
        most = len(keys)
    assert most >= 16
    # A line may be cut off, as the last of its file; the next writer cuts it away.
    assert all(message.endswith("cut off; skipped") for message in heard)


def test_a_killed_tuner_loses_at_most_the_round_in_flight(task, pretended, plan):
    kill_often(5, task, pretended, plan)


@pytest.mark.slow
def test_fifty_killed_tuners_lose_at_most_their_rounds_in_flight(make_task, pretended, plan):
    kill_often(50, make_task(96, 1536, 512, AVX512_VPOPCNTDQ), pretended, plan)
