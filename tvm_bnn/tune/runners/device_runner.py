"""Candidates measured on a board, over TVM's remote procedure calls, of which we are a client that never serves.

Each candidate is sent from a process of its own: whatever the connection does to it, the tuner lives on. A candidate
that fails is tried again after the board has come back: a board that was rebooted is no fault of the candidate's.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import tvm

from rpc.sessions.session import Board
from rpc.sessions.tvm_client import RemoteSession
from rpc.sessions.tvm_values import Handle, RemoteTensor
from rpc.tracking.tracker_client import Address, request
from schedules.machines.link import Toolchain
from schedules.machines.target import Target
from schedules.tuned.tuning_log import Kind
from schedules.tuned.workload import tensors_of
from tvm_bnn.tune.runners.building import SYMBOL, build_all
from tvm_bnn.tune.runners.forked import Outcome, in_child
from tvm_bnn.tune.runners.operands import Array, agree, operands
from tvm_bnn.tune.runners.runner import Measured, Settled
from tvm_bnn.tune.runners.tracker import address_of, await_device
from tvm_bnn.tune.tasks import Task

__all__ = ["DeviceRunner", "address_of"]
Value = TypeVar("Value")
_REPEATS, _REPEAT_MS = 5, 4
_TURNS, _TURN_S = 21, 2e-3
#: Uploading, and what the board does before and after.
_TRANSFER_S = 20.0
_PLAIN_IS_SLOW = 10
_ATTEMPTS = 2


@dataclasses.dataclass(frozen=True)
class DeviceRunner:
    """Times candidates on a board.

    Parameters
    ----------
    target
        What the board is.
    key
        Under which it is registered.
    address
        Of the tracker.
    timeout_s
        For one candidate, on the board.
    patience_s
        How long a board may be away, to boot.
    secret
        Of the lab, which tracker and board have to know; empty to speak to any.
    """

    target: Target
    key: str
    address: tuple[str, int]
    toolchain: Toolchain = "zig"
    threads: int = 1
    timeout_s: float = 20.0
    patience_s: float = 90.0
    kind: Kind = "measured"
    secret: bytes = b""

    @property
    def device(self) -> str:
        """What logs call the board."""
        return f"{self.key} ({self.target.name})"

    def measure(self, task: Task, modules: Sequence[tvm.IRModule]) -> list[Measured]:
        """Time candidates, one after the other.

        Raises
        ------
        UserError
            If the tracker or the board is gone and does not come back.
        """
        with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
            return [self._measured(outcome, task) for outcome in self._build(modules, Path(folder))]

    def settle(self, task: Task, modules: Sequence[tvm.IRModule]) -> list[Settled]:
        """Check candidates against the plain meaning's results on the board, and time those that are right in turns.

        Raises
        ------
        UserError
            If the tracker or the board is gone and does not come back.
        """
        with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
            plain, *built = self._build([task.module, *modules], Path(folder))
            if plain.value is None:
                raise RuntimeError(f"layer {task.name}: its plain meaning cannot be compiled: {plain.failure}")
            expected = self._on_board(functools.partial(_results, plain.value, task), self.timeout_s * _PLAIN_IS_SLOW)
            if expected.value is None:
                raise RuntimeError(f"layer {task.name}: its plain meaning cannot be run: {expected.failure}")
            faults = [self._fault(outcome, task, expected.value) for outcome in built]
            paths = [str(outcome.value) for outcome, fault in zip(built, faults, strict=True) if not fault]
            turns = self._on_board(functools.partial(_in_turns, paths, task), self.timeout_s * max(1, len(paths)))
            if turns.value is None:
                raise RuntimeError(f"layer {task.name}: {turns.failure} while its best candidates were timed in turns")
            times = iter(turns.value)
            return [Settled(not fault, 0.0 if fault else next(times), fault) for fault in faults]

    def _build(self, modules: Sequence[tvm.IRModule], folder: Path) -> list[Outcome[str]]:
        return build_all(modules, self.target, self.toolchain, folder, len(os.sched_getaffinity(0)))

    def _measured(self, built: Outcome[str], task: Task) -> Measured:
        if built.value is None:
            return Measured((), built.failure)
        found = self._on_board(functools.partial(_time, built.value, task), self.timeout_s)
        return Measured(found.value) if found.value is not None else Measured((), found.failure)

    def _fault(self, built: Outcome[str], task: Task, expected: list[Array]) -> str:
        """Return what is wrong with a candidate; empty if nothing is."""
        if built.value is None:
            return built.failure
        found = self._on_board(functools.partial(_results, built.value, task), self.timeout_s)
        if found.value is None:
            return found.failure
        right = all(agree(*pair) for pair in zip(found.value, expected, strict=True))
        return "" if right else "it computes something else than the layer"

    def _on_board(self, work: Callable[[RemoteSession], Value], timeout_s: float) -> Outcome[Value]:
        """Do some work in a session with the board; what fails twice while the board is there failed by itself."""
        outcome: Outcome[Value] = Outcome(None, "")
        for _ in range(_ATTEMPTS):
            await_device(self.key, self.address, self.patience_s, self.secret)
            session = functools.partial(self._in_session, work, timeout_s)
            outcome = in_child(session, timeout_s + _TRANSFER_S)
            if outcome.value is not None:
                return outcome
        await_device(self.key, self.address, self.patience_s, self.secret)
        return outcome

    def _in_session(self, work: Callable[[RemoteSession], Value], timeout_s: float) -> Value:
        seconds = max(1, round(timeout_s))
        grant = request(Address(*self.address), self.key, timeout_s + _TRANSFER_S, secret=self.secret)
        with Board(grant, seconds, self.secret) as board:
            return work(board.remote)


@dataclasses.dataclass(frozen=True)
class _Loaded:
    """A library on the board: its module, its arguments there, and how many of them are operands."""

    module: Handle
    tensors: list[RemoteTensor]
    operands: int


def _load(path: str, task: Task, session: RemoteSession) -> _Loaded:
    """Send a library and what it computes with."""
    name = Path(path).name
    session.call_named("tvm.rpc.server.upload", name, Path(path).read_bytes())
    module = session.call_named("tvm.rpc.server.load_module", name)
    if not isinstance(module, Handle):
        raise RuntimeError("the board loads what is no module")
    arrays = operands(task.function, task.isa, task.results)
    results = [np.zeros(shape, dtype) for shape, dtype in tensors_of(task.function)[len(arrays) :]]
    return _Loaded(module, [session.upload(array) for array in (*arrays, *results)], len(arrays))


def _time(path: str, task: Task, session: RemoteSession) -> tuple[float, ...]:
    loaded = _load(path, task, session)
    return tuple(session.times(loaded.module, SYMBOL, loaded.tensors, 1, _REPEATS, _REPEAT_MS))


def _results(path: str, task: Task, session: RemoteSession) -> list[Array]:
    loaded = _load(path, task, session)
    session.call_method(loaded.module, SYMBOL, *loaded.tensors)
    return [session.download(tensor) for tensor in loaded.tensors[loaded.operands :]]


def _in_turns(paths: Sequence[str], task: Task, session: RemoteSession) -> list[float]:
    """Return the median time of each library, all of them measured in turns."""
    loaded = [_load(path, task, session) for path in paths]
    calls = []
    for one in loaded:
        once = statistics.fmean(session.times(one.module, SYMBOL, one.tensors, 1, 3, 1))
        number = max(1, round(_TURN_S / once))
        calls.append(functools.partial(session.times, one.module, SYMBOL, one.tensors, number, 1))
    rows = [[call()[0] for call in calls] for _ in range(_TURNS)]
    return [statistics.median(column) for column in zip(*rows, strict=True)]
