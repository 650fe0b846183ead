"""A tuner that is killed or interrupted at any moment leaves a log that loads, with every round that was finished."""

import dataclasses
import itertools
import os
import signal
import time

import numpy as np
import pytest

from schedules.machines.isa import AVX512_VPOPCNTDQ
from schedules.tuned.tuning_log import verdicts
from tvm_bnn.tune.searching.database import entries
from tvm_bnn.tune.searching.session import ROUND, tune


@pytest.fixture
def task(make_task):
    """A layer with a space of some hundred schedules, none of which is ever run."""
    return make_task(48, 384, isa=AVX512_VPOPCNTDQ)


INTERRUPTED = 130


def tune_and_tell(task, runner, plan, told):
    """Tune in a child process; write a byte after every round that is finished."""
    process = os.fork()
    if process == 0:
        end = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            tune([task], runner, plan, {}, lambda seen: os.write(told, bytes([seen.measured])), lambda _message: None)
            end = 0
        except KeyboardInterrupt:
            end = INTERRUPTED
        finally:
            os._exit(end)
    return process


def stop_after(seconds, task, runner, plan, number=signal.SIGKILL):
    """Return how many trials the tuner finished, and how it ended on a signal; None if it was through.

    So it was, too, if it ended well and finished at most the round that was in flight: the signal came with its end.
    """
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    process = tune_and_tell(task, runner, plan, writer)
    os.close(writer)
    time.sleep(seconds)
    through, status = os.waitpid(process, os.WNOHANG)
    before = told_so_far(reader)
    if not through:
        os.kill(process, number)
        _, status = os.waitpid(process, 0)
    after = told_so_far(reader)
    os.close(reader)
    end = os.waitstatus_to_exitcode(status)
    return before + after, None if through or (end == 0 and after <= ROUND) else end


def told_so_far(reader):
    """Return how many trials were told of since the last time."""
    try:
        return sum(os.read(reader, 1 << 16))
    except BlockingIOError:
        return 0


def kill_often(times, task, pretended, plan):
    rng = np.random.default_rng(0)
    heard = []
    most = 0
    for number in itertools.count():
        if number >= times and most >= ROUND:
            break
        assert number < times + 50, "no round was ever finished"
        # A run has little to do: some end by themselves, are settled, and the next one goes on from there.
        longer = type(plan)(plan.target, plan.folder, most + ROUND)
        finished, _ = stop_after(float(rng.uniform(0.05, 1.5)), task, pretended(), longer)
        logged = entries(plan.folder, heard.append)
        keys = [entry.key for entry in logged]
        assert len(keys) >= most + finished
        assert len(set(keys)) == len(keys)
        verdicts(plan.folder, heard.append)
        most = len(keys)
    # A line may be cut off, as the last of its file; the next writer cuts it away.
    assert all(message.endswith("cut off; skipped") for message in heard)


def test_a_killed_tuner_loses_at_most_the_round_in_flight(task, pretended, plan):
    kill_often(5, task, pretended, plan)


@pytest.mark.slow
def test_fifty_killed_tuners_lose_at_most_their_rounds_in_flight(make_task, pretended, plan):
    kill_often(50, make_task(96, 1536, 512, AVX512_VPOPCNTDQ), pretended, plan)


def interrupt_often(times, task, pretended, plan):
    """Ctrl-C, mostly while the search is at work in C++ and calls Python back."""
    rng = np.random.default_rng(1)
    many, interrupted = dataclasses.replace(plan, trials=100_000), 0
    for number in range(times):
        folder = plan.folder / str(number)
        seconds = float(rng.uniform(0.2, 4))
        finished, end = stop_after(seconds, task, pretended(), dataclasses.replace(many, folder=folder), signal.SIGINT)
        # A fast machine comes to the end of the space before the signal.
        assert end in (INTERRUPTED, None), f"ended with {end} when it was interrupted after {seconds} s"
        interrupted += end == INTERRUPTED
        keys = [entry.key for entry in entries(folder, pytest.fail)]
        assert len(set(keys)) == len(keys) >= finished
    assert interrupted


def test_an_interrupted_tuner_ends_as_such_and_loses_at_most_the_round_in_flight(make_task, pretended, plan):
    interrupt_often(6, make_task(96, 1536, 512, AVX512_VPOPCNTDQ), pretended, plan)


@pytest.mark.slow
def test_fifty_interrupted_tuners_end_as_such(make_task, pretended, plan):
    interrupt_often(50, make_task(96, 1536, 512, AVX512_VPOPCNTDQ), pretended, plan)
