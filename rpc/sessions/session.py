"""A session on a device: what we can ask of it, and of a model that it has loaded.

Devices run TVM's RPC protocol, which we speak as a client that never serves (``tvm_client.py``). Ours answer a few more
questions (``board/server/functions.c``); with TVM's own server they remain unanswered, and times are those of TVM's
evaluator, whose clock is the one that people and NTP set.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from rpc.formats.board_facts import BoardFacts, cleaned
from rpc.formats.printing import printable
from rpc.formats.tensor_file import Array
from rpc.sessions.connection import connect
from rpc.sessions.tvm_client import RemoteSession
from rpc.sessions.tvm_values import CPU, MODULE, Handle, RemoteTensor, Value
from rpc.tracking.channel import Channel, StrangerError
from rpc.tracking.tracker_client import Grant
from schedules.errors import UserError

_POOLED_ALLOCATOR = 2
#: Names of what our server answers begin with it.
OURS = "tvm_bnn.board."
#: What a server's exception begins with after which there is no session any more.
_TIME_IS_UP = "RPCSessionTimeoutError"

#: Of a model's results.
_MOST_NESTED, _MOST_OUTPUTS = 16, 1024


class DeviceLostError(UserError):
    """The device, its server, or the way to it is gone; another one may do."""


@contextlib.contextmanager
def asking(key: str, what: str) -> Iterator[None]:
    """Turn exceptions of a session into one line about the device."""
    try:
        yield
    except OSError as error:
        raise _lost(key, what, str(error) if isinstance(error, StrangerError) else "the connection broke") from None
    except RuntimeError as error:
        if _TIME_IS_UP in str(error):
            raise _lost(key, what, "its time was up") from None
        raise UserError(f"device '{key}': {what} failed: {_gist(str(error))}") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _lost(key, what, f"what it says of itself is none: {printable(str(error))}") from None


def _lost(key: str, what: str, reason: str) -> DeviceLostError:
    return DeviceLostError(f"device '{key}' was lost while {what} ({reason})")


def _gist(text: str) -> str:
    """Return the telling line of an exception that came from a device: the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return printable(lines[0]) if lines else "no message"


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
            Which the device has to know, too; empty to speak to any.

        Raises
        ------
        DeviceLostError
            If the device turns us away, or is not what we asked for.
        """
        self.key = grant.key
        with asking(grant.key, "connecting"):
            channel = connect(grant, seconds, secret)
            try:
                self.facts = self._begin(channel)
            except BaseException:
                channel.close()
                raise

    def _begin(self, channel: Channel) -> BoardFacts:
        """Take the connection over, and return what the board says of itself."""
        self.remote = RemoteSession(channel)
        text = self._called("facts")
        return BoardFacts() if text is None else cleaned(msgspec.json.decode(str(text), type=BoardFacts))

    def __enter__(self) -> Board:
        """Return the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the session."""
        self.close()

    def close(self) -> None:
        """Free the device."""
        self.remote.close()

    @property
    def is_ours(self) -> bool:
        """Whether the server is this project's."""
        return self.facts != BoardFacts()

    def _called(self, name: str, *arguments: Any) -> Any:
        """Call one of our server's functions; None where the server is another."""
        function = self.remote.find(OURS + name)
        return None if function is None else self.remote.call(function, *arguments)

    def _ask(self, name: str, *arguments: Any) -> Any:
        """Call one of our server's functions, with one line for what goes wrong."""
        with asking(self.key, f"asking for '{name}'"):
            return self._called(name, *arguments)

    def read(self, path: str) -> str:
        """Return a file of ``/proc`` or ``/sys`` without white space around it; empty if there is none."""
        return _printable_lines(str(self._ask("read", path) or "")).strip()

    def find(self, pattern: str) -> list[str]:
        """Return the paths below ``/sys`` or ``/proc`` that match a shell pattern."""
        return _printable_lines(str(self._ask("find", pattern) or "")).split()

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
            self.remote.call_named("tvm.rpc.server.upload", name, library)
        with asking(self.key, "loading the model"):
            module = _module(self.remote.call_named("tvm.rpc.server.load_module", name))
        if profiled:
            self._ask("instrument", name)
        with asking(self.key, "loading the model"):
            machine = _module(self.remote.call_method(module, "vm_load_executable"))
            self.remote.call_method(machine, "vm_initialization", CPU, 0, _POOLED_ALLOCATOR)
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
        with asking(self._board.key, "sending inputs"), self._board.remote.tensors(inputs) as tensors:
            self._call("set_input", *tensors)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run once and return the outputs, tuples flattened."""
        self.set_inputs(inputs)
        with asking(self._board.key, "running the model"):
            self._call("invoke_stateful")
            return self._outputs(())

    def _call(self, name: str, *arguments: Value) -> Value:
        return self._board.remote.call_method(self._machine, name, "main", *arguments)

    def _outputs(self, path: tuple[int, ...]) -> list[Array]:
        if len(path) > _MOST_NESTED:
            raise StrangerError("its results are nested without end")
        arity = self._call("get_output_arity", *path)
        if not isinstance(arity, int) or arity > _MOST_OUTPUTS:
            raise StrangerError(f"its results are {printable(str(arity))} in number")
        if arity >= 0:
            return [array for index in range(arity) for array in self._outputs((*path, index))]
        tensor = self._call("get_output", *path)
        if not isinstance(tensor, RemoteTensor):
            raise StrangerError("a result of its is no tensor")
        array = self._board.remote.download(tensor)
        self._board.remote.free_tensor(tensor)
        return [array]

    def time(self, calls: int) -> float:
        """Return the ns that so many calls took on the device, by a clock that nobody sets where the server is ours."""
        if self._board.is_ours:
            found = self._board._ask("time", self._machine, calls)
            if not isinstance(found, int) or found <= 0:
                raise _lost(self._board.key, "asking for 'time'", "it answers what is no time")
            return float(found)
        with asking(self._board.key, "running the model"):
            (mean,) = self._board.remote.times(self._machine, "invoke_stateful", ["main"], calls, 1)
            return mean * calls * 1e9

    def sense(self, seconds: float, path: str) -> tuple[int, float, float]:
        """Run for a while; return the calls, the ns they took, and the mean of a sensor's file, read every 10 ms."""
        with asking(self._board.key, "asking for 'sense'"):
            answer = str(self._board._called("sense", self._machine, int(seconds * 1e9), path)).split()
            calls, ns, mean = _fields(answer, int, float, float)
            if calls < 1 or not math.isfinite(ns) or not math.isfinite(mean):
                raise StrangerError("it answers what is no answer to that")
            return calls, ns, mean

    def profile(self, runs: int) -> list[tuple[str, float]]:
        """Return function and mean ns of every kernel call of a run, in order; for a model loaded as profiled."""
        self._board._ask("profile", self._machine, 1)  # warms up, and forgets what ran before
        lines = str(self._board._ask("profile", self._machine, runs) or "").splitlines()
        with asking(self._board.key, "asking for 'profile'"):
            rows = [_fields(line.split(), str, int, float) for line in lines]
            return [(printable(name), ns / max(1, calls)) for name, calls, ns in rows]


def _printable_lines(text: str) -> str:
    """Return lines without characters that a terminal would follow."""
    return "".join(character if character.isprintable() or character in "\n\t" else "?" for character in text)


def _module(value: Value) -> Handle:
    if not isinstance(value, Handle) or value.kind != MODULE:
        raise StrangerError("it loads what is no module")
    return value


def _fields(words: Sequence[str], *kinds: Callable[[str], Any]) -> list[Any]:
    """Read the words of an answer, one of each kind."""
    try:
        return [kind(word) for kind, word in zip(kinds, words, strict=True)]
    except ValueError:
        raise StrangerError("it answers what is no answer to that") from None


def _status_bytes(status: str, field: str) -> int | None:
    for line in status.splitlines():
        if line.startswith(f"{field}:"):
            words = line.split()
            return int(words[1]) * 1024 if len(words) > 1 and words[1].isdecimal() else None
    return None
