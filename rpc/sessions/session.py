"""A session on a device: what we can ask of it, and of a model that it has loaded.

Devices run TVM's RPC protocol. Ours answer a few more questions (``board/server/functions.c``); with TVM's own server
they remain unanswered, and times are those of TVM's evaluator, whose clock is the one that people and NTP set.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from rpc.formats.board_facts import BoardFacts
from rpc.formats.tensor_file import Array
from rpc.tracking.shared_secret import greeting
from rpc.tracking.tracker_client import Grant
from schedules.errors import UserError

_POOLED_ALLOCATOR = 2
#: Names of what our server answers begin with it.
OURS = "tvm_bnn.board."
_HEADING = "Error caught from RPC call:"
#: What a client of TVM says when the other end of the connection is gone.
_SIGNS_OF_LOSS = (
    "kShutdown",
    "code == RPCCode::kReturn",  # what came in place of an answer is the end
    "RPCSessionTimeoutError",
    "SockChannel",
    "Connect to",
    "closed",
    "cannot find server",
)


class DeviceLostError(UserError):
    """The device, its server, or the way to it is gone; another one may do."""


@contextlib.contextmanager
def asking(key: str, what: str) -> Iterator[None]:
    """Turn TVM's exceptions into one line about the device."""
    try:
        yield
    # TVM raises RuntimeErrors of many names, and plain ones of the operating system.
    except (RuntimeError, OSError, AttributeError) as error:
        text = str(error)
        if isinstance(error, OSError) or any(sign in text for sign in _SIGNS_OF_LOSS):
            reason = "its time was up" if "RPCSessionTimeoutError" in text else "the connection broke"
            raise DeviceLostError(f"device '{key}' was lost while {what} ({reason})") from None
        raise UserError(f"device '{key}': {what} failed: {_gist(text)}") from None


def _gist(text: str) -> str:
    """Return the telling line of an exception that TVM carried over from a device: the first after its own heading."""
    lines = [line.strip() for line in text.rsplit(_HEADING, 1)[-1].splitlines() if line.strip()]
    return lines[0] if lines else "no message"


def prepare() -> None:
    """Import what sessions need: it takes seconds, for which no device shall wait."""
    importlib.import_module("tvm.rpc")


class Board:
    """An open session; close it, or use it in a ``with`` statement."""

    def __init__(self, grant: Grant, seconds: float, secret: bytes = b"") -> None:
        """Connect.

        Parameters
        ----------
        grant
            What the tracker gave us.
        seconds
            After which the device ends the session.
        secret
            That the device asks for; empty for none.

        Raises
        ------
        UserError
            If the device turns us away.
        """
        import tvm.rpc

        self.key = grant.key
        self._tvm = tvm
        name = greeting(grant.match_key, secret).removeprefix("client:")  # which TVM puts in front
        with asking(grant.key, "connecting"):
            self._remote = tvm.rpc.connect(grant.address.host, grant.address.port, name, seconds)
        text = self._ask("facts")
        self.facts = BoardFacts() if text is None else msgspec.json.decode(str(text), type=BoardFacts)

    def __enter__(self) -> Board:
        """Return the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the session."""
        self.close()

    def close(self) -> None:
        """Free the device."""
        with contextlib.suppress(RuntimeError, OSError):
            self._remote.get_function("CloseRPCConnection")()

    @property
    def is_ours(self) -> bool:
        """Whether the server is this project's."""
        return self.facts != BoardFacts()

    def _ask(self, name: str, *arguments: object) -> Any:
        """Call one of our server's functions; None where the server is another."""
        try:
            function = self._remote.get_function(OURS + name)
        except (RuntimeError, AttributeError) as error:
            if any(sign in str(error) for sign in _SIGNS_OF_LOSS):
                raise DeviceLostError(f"device '{self.key}' was lost while asked for its {name}") from None
            return None
        with asking(self.key, f"asking for '{name}'"):
            return function(*arguments)

    def read(self, path: str) -> str:
        """Return a file of ``/proc`` or ``/sys`` without white space around it; empty if there is none."""
        return str(self._ask("read", path) or "").strip()

    def find(self, pattern: str) -> list[str]:
        """Return the paths below ``/sys`` or ``/proc`` that match a shell pattern."""
        return str(self._ask("find", pattern) or "").split()

    def set_threads(self, threads: int) -> None:
        """Say how many threads kernels may use; before the first model runs."""
        self._ask("threads", threads)

    def load(self, name: str, library: bytes, profiled: bool = False) -> LoadedModel:
        """Upload a library and load it.

        Parameters
        ----------
        name
            A file name, unique in this session.
        library
            The shared library.
        profiled
            Time each kernel; the whole then takes longer.
        """
        with asking(self.key, "uploading"):
            self._remote.get_function("tvm.rpc.server.upload")(name, bytearray(library))
        with asking(self.key, "loading the model"):
            module = self._remote.load_module(name)
        if profiled:
            self._ask("instrument", name)
        with asking(self.key, "loading the model"):
            machine = module["vm_load_executable"]()
            machine["vm_initialization"](self._tvm.cpu().dlpack_device_type(), 0, _POOLED_ALLOCATOR)
        return LoadedModel(self, machine)

    def peak_memory(self, run: Any) -> int | None:
        """Return by how many bytes running something raised what the session's process had resident, at its highest."""
        self._ask("reset_peak")
        before = _status_bytes(self.read("/proc/self/status"), "VmRSS")
        run()
        peak = _status_bytes(self.read("/proc/self/status"), "VmHWM")
        return None if before is None or peak is None else peak - before


class LoadedModel:
    """A model on a device."""

    def __init__(self, board: Board, machine: Any) -> None:
        """Wrap a virtual machine of the device."""
        self._board = board
        self._machine = machine

    def set_inputs(self, inputs: Sequence[Array]) -> None:
        """Send the inputs that the following calls run on."""
        board = self._board
        with asking(board.key, "sending inputs"):
            device = board._remote.cpu()
            tensors = [board._tvm.runtime.tensor(np.ascontiguousarray(value), device) for value in inputs]
            self._machine["set_input"]("main", *tensors)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run once and return the outputs, tuples flattened."""
        self.set_inputs(inputs)
        with asking(self._board.key, "running the model"):
            self._machine["invoke_stateful"]("main")
            return self._outputs(())

    def _outputs(self, path: tuple[int, ...]) -> list[Array]:
        arity = self._machine["get_output_arity"]("main", *path)
        if arity < 0:
            return [self._machine["get_output"]("main", *path).numpy()]
        return [array for index in range(arity) for array in self._outputs((*path, index))]

    def time(self, calls: int) -> float:
        """Return the ns that so many calls took on the device, by a clock that nobody sets where the server is ours."""
        if self._board.is_ours:
            return float(self._board._ask("time", self._machine, calls))
        with asking(self._board.key, "running the model"):
            evaluator = self._machine.time_evaluator(
                "invoke_stateful", self._board._remote.cpu(), number=calls, repeat=1
            )
            return float(evaluator("main").mean * calls * 1e9)

    def sense(self, seconds: float, path: str) -> tuple[int, float, float]:
        """Run for a while; return the calls, the ns they took, and the mean of a sensor's file, read every 10 ms."""
        calls, ns, mean = str(self._board._ask("sense", self._machine, int(seconds * 1e9), path)).split()
        return int(calls), float(ns), float(mean)

    def profile(self, runs: int) -> list[tuple[str, float]]:
        """Return function and mean ns of every kernel call of a run, in order; for a model loaded as profiled."""
        self._board._ask("profile", self._machine, 1)  # warms up, and forgets what ran before
        lines = str(self._board._ask("profile", self._machine, runs) or "").splitlines()
        return [(name, float(ns) / int(calls)) for name, calls, ns in (line.split() for line in lines)]


def _status_bytes(status: str, field: str) -> int | None:
    for line in status.splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None
