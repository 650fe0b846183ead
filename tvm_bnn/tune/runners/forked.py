"""Work that may crash, hang or eat the memory, done in a child process that is thrown away.

The child is a fork: it has TVM loaded already, and starts in milliseconds instead of seconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import faulthandler
import os
import pickle
import select
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")
_PR_SET_PDEATHSIG = 1
_BLOCK = 1 << 16


@dataclasses.dataclass(frozen=True)
class Outcome(Generic[Value]):
    """What came of it: a value, or one line that says why there is none."""

    value: Value | None
    failure: str


@dataclasses.dataclass
class _Child:
    index: int
    process: int
    pipe: int
    deadline: float
    received: bytearray = dataclasses.field(default_factory=bytearray)


def in_children(works: Sequence[Callable[[], Value]], timeout_s: float, workers: int = 1) -> list[Outcome[Value]]:
    """Do each work in a child of its own, ``workers`` at a time.

    Parameters
    ----------
    works
        Functions whose results can be pickled. What they raise becomes a failure.
    timeout_s
        A child that takes longer is killed, with whatever it started.
    workers
        1 where the times of children matter.
    """
    outcomes: list[Outcome[Value]] = [Outcome(None, "not done")] * len(works)
    waiting = list(enumerate(works))[::-1]
    running: list[_Child] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(*waiting.pop(), timeout_s))
            for child, outcome in _finished(running, timeout_s):
                running.remove(child)
                outcomes[child.index] = outcome
    finally:
        for child in running:
            _kill(child)
    return outcomes


def in_child(work: Callable[[], Value], timeout_s: float) -> Outcome[Value]:
    """Do one work in a child of its own."""
    return in_children([work], timeout_s)[0]


def _start(index: int, work: Callable[[], Any], timeout_s: float) -> _Child:
    reader, writer = os.pipe()
    parent = os.getpid()
    with warnings.catch_warnings():
        # Python 3.12 warns of threads at a fork. Those of TVM and XGBoost are idle, and the child calls neither's pool.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process == 0:
        os.close(reader)
        _work(work, writer, parent)
    os.close(writer)
    return _Child(index, process, reader, time.monotonic() + timeout_s)


def _work(work: Callable[[], Any], writer: int, parent: int) -> None:
    """Do the work in the child, send what came of it, and leave without any of the parent's clean-up."""
    try:
        faulthandler.disable()  # a crash is a result here, and says so in one line
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        try:
            sent = pickle.dumps((work(), ""))
        except BaseException as error:
            sent = pickle.dumps((None, f"{type(error).__name__}: {_one_line(error)}"))
        while sent:
            sent = sent[os.write(writer, sent) :]
    finally:
        os._exit(0)


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _finished(running: Sequence[_Child], timeout_s: float) -> list[tuple[_Child, Outcome[Any]]]:
    """Wait until something happens, and return the children that are done or out of time."""
    nearest = min(child.deadline for child in running)
    ready, _, _ = select.select([child.pipe for child in running], [], [], max(0.0, nearest - time.monotonic()))
    found = []
    for child in running:
        if child.pipe in ready:
            block = os.read(child.pipe, _BLOCK)
            child.received += block
            if not block:
                found.append((child, _result(child)))
        elif time.monotonic() >= child.deadline:
            _kill(child)
            found.append((child, Outcome(None, f"no result within {timeout_s:g} s")))
    return found


def _result(child: _Child) -> Outcome[Any]:
    os.close(child.pipe)
    _, status = os.waitpid(child.process, 0)
    if os.WIFSIGNALED(status):
        return Outcome(None, f"crashed: {signal.Signals(os.WTERMSIG(status)).name}")
    try:
        return Outcome(*pickle.loads(bytes(child.received)))
    except (pickle.UnpicklingError, EOFError):
        return Outcome(None, "ended without a result")


def _kill(child: _Child) -> None:
    """Kill a child with its own children, such as a linker."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(child.process, signal.SIGKILL)
    os.close(child.pipe)
    os.waitpid(child.process, 0)
